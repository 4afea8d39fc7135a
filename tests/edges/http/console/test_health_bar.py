"""The line below the bar of every page: whether prices come, whether streams speak, whether anything is unguarded."""

import re
from dataclasses import replace

import pytest

from pregao.domain.facts import AccountConfigured
from tests.builders import NOON, account, configured
from tests.edges.http.api.test_glance import told
from tests.edges.http.api.test_stops import open_position
from tests.edges.http.console.signed_in import signed_in

LOOKED_AT = """
INSERT INTO preflights (account_id, light, light_codes) VALUES ($1, 'warning', $2)
ON CONFLICT (account_id) DO UPDATE SET light_codes = excluded.light_codes
"""


@pytest.fixture
async def held(desk):
    """Two accounts hold BTCUSDT, each with a stop; the price is seen."""
    await desk.append(*configured(accounts=3))
    for number in (1, 2):
        await open_position(desk, number)
    await told(desk, "BTCUSDT", bid="95300", ask="95301")
    return desk


async def bar(browser, language="en") -> list[str]:
    page = (await browser.get("/console/health", headers={"Accept-Language": language})).text
    return [
        re.sub(r"\s+", " ", one).strip() for one in re.findall(r'<span class="state[^>]*>(.*?)</span>', page)
    ]


async def sql(desk, statement, *values) -> None:
    await desk.journal.pool.execute(statement, *values)


class TestHealthBar:
    async def test_says_when_the_price_of_something_held_does_not_come(self, held, admin):
        await sql(held, "UPDATE watches SET price_at = clock_timestamp()")
        come = await bar(admin)
        await sql(held, "UPDATE watches SET price_at = clock_timestamp() - interval '31 s'")
        silent, ours = await bar(admin), await bar(admin, "pt-BR")
        await sql(held, "DELETE FROM watches")
        never = await bar(admin)

        assert "Prices" in come
        assert "Prices: 1 silent" in silent
        assert "Preços: 1 sem vir" in ours
        assert "Prices: 1 silent" in never

    async def test_says_whose_private_stream_is_away_of_those_that_trade(self, held, admin):
        quiet = await bar(admin)
        for number, codes in (
            (1, ["STREAM_AWAY", "MARGIN_IN_USE"]),
            (2, ["MARGIN_IN_USE"]),
            (3, ["STREAM_AWAY"]),
        ):
            await sql(held, LOOKED_AT, number, codes)
        away = await bar(admin)
        await held.append(AccountConfigured(happened_at=NOON, account=replace(account(3), is_active=False)))

        assert "Streams" in quiet
        assert "Streams: 2 away" in away
        assert "Streams: 1 away" in await bar(admin)

    async def test_tells_a_subscriber_of_his_own_accounts_only(self, held, admin):
        await sql(held, "DELETE FROM watches")
        await sql(held, LOOKED_AT, 1, ["STREAM_AWAY"])
        vera = await signed_in(held, "vera", "viewer")

        shown = await bar(vera)

        assert "Prices" in shown
        assert "Streams" in shown
        assert not any("silent" in one or "away" in one for one in shown)
