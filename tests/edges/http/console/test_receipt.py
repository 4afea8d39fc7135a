"""A signal's page tells a thousand accounts as it tells two: counted, twelve at a time, and light."""

from dataclasses import replace

from tests.edges.http.api.test_receipts import SIGNAL_ID, accepted, approved, denied, filled, planned
from tests.edges.http.console.signed_in import signed_in

ACCOUNTS, ENTERED = 1_000, 900
WEIGHT_MAX = 74_000  # bytes of HTML; styles and scripts, which a browser keeps, are the rest of 150 KB
PAGE = f"/console/signals/{SIGNAL_ID}"


async def test_is_light_with_a_thousand_accounts_and_leads_to_all_of_them(desk):
    some = range(1, ENTERED + 1)
    await desk.append(
        *approved(accounts=ACCOUNTS, orders=ENTERED),
        *(planned(number) for number in some),
        *(replace(denied(number), code="POSITIONS_AT_LIMIT") for number in range(ENTERED + 1, ACCOUNTS + 1)),
        *(accepted(number) for number in some),
        *(filled(number, price=f"{95_200 + number}") for number in some),
    )
    operator = await signed_in(desk, "olga", "operator")

    page = await operator.get(PAGE)
    second = await operator.get(f"{PAGE}?first=12")
    failed = await operator.get(f"{PAGE}?outcome=denied")
    after = int(page.text.partition("?fact=")[2].partition('"')[0])
    facts = await operator.get(f"{PAGE}?fact={after}")

    assert {one.status_code for one in (page, second, failed, facts)} == {200}
    assert len(page.content) < WEIGHT_MAX
    assert "1 to 12 of 1000" in page.text
    assert page.text.count('<tr id="order-') == 12
    assert "13 to 24 of 1000" in second.text
    assert "1 to 12 of 100" in failed.text
    assert "account 901" in failed.text
    assert f">{after}</td>" in page.text
    assert f">{after + 1}</td>" in facts.text
    assert 'Filled <span class="faint">900</span>' in page.text
    assert 'Denied <span class="faint">100</span>' in page.text
    assert page.text.count('<rect class="each"') == 60  # two spreads of thirty
