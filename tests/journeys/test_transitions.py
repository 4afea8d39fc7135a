"""The folds move orders in SQL; the table in `domain/order.py` says which moves are legal. Here the two must agree."""

from pregao.domain.order import OrderStatus, may_become
from pregao.domain.signal import Action
from tests.builders import configured, instruction
from tests.journeys.conftest import now

WATCH = """
CREATE TABLE pregao.moves (earlier text NOT NULL, later text NOT NULL);
CREATE FUNCTION pregao.note_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pregao.moves VALUES (OLD.status, NEW.status);
    RETURN NULL;
END $$;
CREATE TRIGGER note_move AFTER UPDATE ON pregao.orders
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION pregao.note_move();
"""


class TestOrderTransitions:
    async def test_makes_only_the_moves_of_the_table_whatever_the_venue_answers(self, desk):
        await desk.journal.pool.execute(WATCH)
        await desk.put(configured(accounts=6, now=now()))
        desk.exchange.refuse_next(account_id=1)
        desk.exchange.lose_next_answer(account_id=2)
        desk.exchange.lose_next_order(account_id=3)
        desk.exchange.busy_next(account_id=4)
        desk.exchange.delay_next(0.3, account_id=5)
        desk.exchange.fills_per_order = 2
        await desk.start_trader()

        bought = await desk.signal(instruction(now=now()))
        closed = await desk.signal(instruction(Action.CLOSE, now=now()))
        await desk.settled(bought, closed)

        moves = {
            (OrderStatus(row["earlier"]), OrderStatus(row["later"]))
            for row in await desk.rows("SELECT DISTINCT earlier, later FROM pregao.moves")
        }
        assert [move for move in moves if not may_become(move[0], following=move[1])] == []
        assert {later for _, later in moves} >= {
            OrderStatus.REJECTED,
            OrderStatus.UNRESOLVED,
            OrderStatus.PLANNED,
            OrderStatus.FILLED,
        }
