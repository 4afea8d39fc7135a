"""One position closed by hand: by whom it belongs to or who looks after the desk, and no other with it."""

from dataclasses import replace
from uuid import UUID

import pytest

from pregao.domain.facts import AccountConfigured, BotConfigured, PositionChanged, SubscriptionConfigured
from pregao.domain.position import PositionStatus
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import NOON, account, bot, held, subscription
from tests.edges.http.api.own_desk import code_of
from tests.edges.http.api.test_sell_list_at_source import asked, bought, types

CLOSE = "/api/v1/positions/{}/close"
WHY = {"reason": "enough"}


@pytest.fixture
async def people(desk):
    """Ana's account holds BTCUSDT as position 1; the desk's own, which follows the same bot, nothing."""
    ana, bia, vera = [await desk.enroll(name) for name in ("ana", "bia", "vera")]
    await desk.client.patch(f"/api/v1/admin/users/{vera.user_id}", json={"role": "viewer"})
    await desk.append(
        BotConfigured(happened_at=NOON, bot=bot()),
        AccountConfigured(happened_at=NOON, account=account(1, user_id=UUID(ana.user_id))),
        AccountConfigured(happened_at=NOON, account=account(2, user_id=UUID(vera.user_id))),
        *(SubscriptionConfigured(happened_at=NOON, subscription=subscription(one)) for one in (1, 2)),
    )
    await bought(desk, "BTCUSDT", number=1)
    return ana, bia, vera


class TestClose:
    async def test_is_asked_for_by_whose_it_is_and_closes_this_one_alone(self, desk, people):
        ana, bia, vera = people

        others = await bia.client.post(CLOSE.format(1), json=WHY)
        never = await bia.client.post(CLOSE.format(999), json=WHY)
        looking = await vera.client.post(CLOSE.format(1), json=WHY)
        before = await asked(desk)
        own = await ana.client.post(CLOSE.format(1), json=WHY)

        assert (others.status_code, code_of(others)) == (404, "POSITION_UNKNOWN")
        assert others.text == never.text.replace("999", "1")
        assert (looking.status_code, code_of(looking)) == (403, "ROLE_FORBIDDEN")
        assert before == []
        assert (own.status_code, own.json()["symbol"]) == (202, "BTCUSDT")
        assert await asked(desk) == [("close", "BTCUSDT", UUID(int=1))]
        [(kind, by)] = await types(desk)
        assert (kind, by.partition(",")[0]) == ("position_close", "ana@desk.test")
        assert (await compare_with_journal(desk.journal)).differences == ()

    async def test_is_asked_for_by_staff_for_anybody(self, desk, people):
        assert (await desk.client.post(CLOSE.format(1), json=WHY)).status_code == 202
        assert await asked(desk) == [("close", "BTCUSDT", UUID(int=1))]

    async def test_says_when_nothing_is_held_any_more(self, desk, people):
        over = replace(held(position_id=1), symbol="BTCUSDT", status=PositionStatus.CLOSED, closed_at=NOON)
        await desk.append(PositionChanged(happened_at=NOON, position=over))

        answer = await people[0].client.post(CLOSE.format(1), json=WHY)

        assert (answer.status_code, code_of(answer)) == (409, "POSITION_CLOSED")
        assert await asked(desk) == []

    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "a\x00b"}, {"reason": "x", "price": 1}])
    async def test_takes_a_reason_and_nothing_else(self, desk, people, body):
        answer = await people[0].client.post(CLOSE.format(1), json=body)

        assert answer.status_code == 422
        assert await asked(desk) == []
