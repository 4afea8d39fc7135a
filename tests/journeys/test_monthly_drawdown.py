"""F101: exactly its share of the capital ends a tenant's month, by his own trades only; the next month lets him go on."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from pregao.accounts.drawdown import DESK, end_pause
from pregao.accounts.halt import Asker, set_state
from pregao.domain.facts import AccountConfigured, PositionChanged, UserConfigured
from pregao.domain.trading_state import TradingState, scope_of_user
from pregao.edges.postgres.drawdowns import month_after, month_of
from pregao.edges.postgres.operations import PostgresOperations
from pregao.edges.postgres.trading_states import PostgresTradingStateBooks
from pregao.trading.drawdown import DrawdownWatch
from tests.builders import NOON, account, closed, configured, held, instruction, user
from tests.edges.http.api.test_receipts import planned

ANA, BRUNO = UUID(int=0xA), UUID(int=0xB)
OPERATOR = Asker(name="olga", user_id=UUID(int=0xC), is_staff=True, source_address="192.0.2.1")


@pytest.fixture
async def watch(desk):
    """Ana and Bruno have a capital of 1000 each, and an account; 4 % of it is 40."""
    await desk.put(configured(accounts=2))
    for number, user_id in ((1, ANA), (2, BRUNO)):
        told = user(number, user_id=user_id, risk_capital_usd=Decimal(1000))
        await desk.put(
            [
                UserConfigured(happened_at=NOON, user=told),
                AccountConfigured(happened_at=NOON, account=account(number, user_id=user_id)),
            ]
        )
    trader, _ = await desk.make_trader()
    return DrawdownWatch(desk.journal, trader.floor)


async def lose(desk, pnl: str, *, number: int, account_id: int = 1, ago: timedelta = timedelta(0)) -> None:
    """Have a position close with this result; the desk itself will not come to its number."""
    position_id = 900 + number
    order = planned(
        account_id,
        order_id=f"p{number}",
        client_order_id=f"p{number}1",
        position_id=position_id,
        subscription_id=UUID(int=account_id),
    )
    position = held("1", price="100", position_id=position_id, account_id=account_id)
    ended = closed(position, at=desk.exchange.clock() - ago, pnl=pnl)
    await desk.put([order, PositionChanged(happened_at=NOON, position=ended)])


async def states(desk) -> list[tuple[str, str, str]]:
    rows = await desk.rows("SELECT subject, state, set_by FROM trading_states WHERE state <> 'active'")
    return [tuple(row) for row in rows]


async def say(desk, state: TradingState) -> None:
    """Have an operator set Ana's state."""
    async with PostgresTradingStateBooks(desk.journal, ring=lambda: None).open(owner=None) as book:
        facts = await set_state(
            scope_of_user(ANA), state, reason="so", by=OPERATOR, book=book, now=desk.exchange.clock()
        )
        await book.append(facts)


async def entered(desk) -> dict[int, str]:
    """Have everybody enter, and give what came of it on each account."""
    await desk.start_trader("trader-2")
    signal_id = await desk.signal(instruction(now=desk.exchange.clock()))
    await desk.settled(signal_id)
    return {
        row["account_id"]: row["code"] if row["status"] == "denied" else row["status"]
        for row in await desk.orders(signal_id)
    }


PAUSED = [(str(ANA), "reducing", DESK.name)]


class TestTheMonth:
    async def test_ends_at_exactly_four_percent_and_not_before(self, desk, watch):
        await lose(desk, "-39.99999999", number=1)
        await watch.look()
        before = await states(desk)

        await lose(desk, "-0.00000001", number=2)
        await watch.look()
        await watch.look()

        assert before == []
        assert await states(desk) == PAUSED
        assert (await desk.facts("TradingStateSet")) == ["TradingStateSet"]
        (reason,) = await desk.rows("SELECT reason FROM trading_states")
        assert reason["reason"].startswith("MONTHLY_DRAWDOWN: loss=40 percent=4 limit_percent=4 month=")

    async def test_counts_what_was_won_and_nobody_elses_trades(self, desk, watch):
        """D-8: the source counted every tenant's."""
        await lose(desk, "-60", number=1)
        await lose(desk, "30", number=2)
        await lose(desk, "-39", number=3, account_id=2)

        await watch.look()

        assert await states(desk) == []

    async def test_counts_nothing_of_the_month_before(self, desk, watch):
        await lose(desk, "-500", number=1, ago=timedelta(days=31))

        await watch.look()

        assert await states(desk) == []

    async def test_is_over_with_the_month(self, desk, watch):
        await lose(desk, "-40", number=1)
        await watch.look()
        desk.exchange.clock.forward(timedelta(days=31).total_seconds())

        await watch.look()

        assert await states(desk) == []

    async def test_is_an_operators_to_let_pass_once_and_for_the_whole_of_it(self, desk, watch):
        await lose(desk, "-40", number=1)
        await watch.look()
        await say(desk, TradingState.ACTIVE)
        month = await PostgresOperations(desk.journal.pool).month_of(ANA, now=desk.exchange.clock())

        await lose(desk, "-40", number=2)
        await watch.look()
        await DrawdownWatch(desk.journal, desk.traders[0].floor).look()  # another trader remembers nothing

        assert month.is_lifted
        assert await states(desk) == []

    async def test_leaves_a_stricter_word_of_an_operator_as_it_is(self, desk, watch):
        await say(desk, TradingState.HALTED)
        await lose(desk, "-40", number=1)
        await watch.look()
        halted = await states(desk)

        await say(desk, TradingState.ACTIVE)
        await watch.look()

        assert halted == [(str(ANA), "halted", "olga")]
        assert await states(desk) == PAUSED

    async def test_lets_no_entry_slip_in_before_anybody_has_looked(self, desk, watch):
        """The decision's own transaction looks at the month: whoever pauses the tenant may come a second later."""
        await lose(desk, "-40", number=1)

        assert await entered(desk) == {1: "MONTHLY_DRAWDOWN", 2: "filled"}

    async def test_lets_enter_whom_an_operator_let_go_on(self, desk, watch):
        await lose(desk, "-40", number=1)
        await watch.look()
        await say(desk, TradingState.ACTIVE)

        assert await entered(desk) == {1: "filled", 2: "filled"}

    async def test_that_is_over_takes_back_nothing_of_an_operators(self, desk, watch):
        await say(desk, TradingState.HALTED)
        async with PostgresTradingStateBooks(desk.journal, ring=lambda: None).open(owner=None) as book:
            assert await end_pause(ANA, book=book, now=desk.exchange.clock()) == []


class TestMonths:
    def test_are_of_utc_and_go_round_the_year(self):
        december = month_of(NOON.replace(month=12, day=31))

        assert (december.isoformat(), month_after(december).isoformat()) == ("2026-12-01", "2027-01-01")
        assert month_after(month_of(NOON)) == december
