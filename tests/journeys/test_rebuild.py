"""`journal rebuild --check`: the state is the fold of the journal, and a difference is told."""

from pregao.domain.signal import Action
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.builders import configured, instruction
from tests.journeys.conftest import now


class TestRebuild:
    async def test_the_state_equals_the_fold_after_entries_closes_refusals_and_unknown_outcomes(self, desk):
        await desk.put(configured(accounts=4, now=now()))
        desk.exchange.refuse_next(account_id=1)
        desk.exchange.lose_next_answer(account_id=2)
        desk.exchange.lose_next_order(account_id=3)
        desk.exchange.busy_next(account_id=4)
        desk.exchange.fills_per_order = 3
        await desk.start_trader()
        bought = await desk.signal(instruction(now=now()))
        await desk.settled(bought)
        closed = await desk.signal(instruction(Action.CLOSE, now=now()))
        await desk.settled(closed)

        found = await compare_with_journal(desk.journal)

        assert found.differences == ()
        assert found.facts > 20

    async def test_a_row_changed_by_hand_is_found(self, desk):
        await desk.put(configured(accounts=1, now=now()))
        await desk.rows("UPDATE accounts SET name = 'somebody else'")

        found = await compare_with_journal(desk.journal)

        assert [(one.table, one.only_in_state, one.only_in_fold) for one in found.differences] == [
            ("accounts", 1, 1)
        ]
