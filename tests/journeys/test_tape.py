"""The recorded LTCUSDT tape, two subscribers, real alert bodies: three books that agree to the last decimal."""

from decimal import Decimal

import pytest

from pregao.edges.paper.serve import PaperSettings
from pregao.edges.postgres.journal import open_journal
from pregao.edges.postgres.rebuild import compare_with_journal
from tests.journeys.whole_desk import LTC_TAPE, running_desk

# Bodies people send (shared/data/tradingview_alerts), their placeholders filled for LTCUSDT.
BUY_TEXT = "order buy @ 0.4 filled on LTCUSDT.P. New strategy position is 0.4"  # tv-36c12e4278
BUY_JSON = (  # tv-ac8a59210d
    '{\n  "secret": "your-webhook-secret",\n  "exchange": "aster",\n  "action": "buy",\n  "symbol": "LTCUSDT",\n'
    '  "order_type": "market",\n  "strategy": "Long",\n  "stop_loss_percent": 1.0,\n  "take_profit_percent": 3.0\n}'
)
CLOSE_JSON = (  # tv-d8140de039
    '{\n  "ticker": "LTCUSDT",\n  "price": 83.1,\n  "action": "sell",\n  "market_position": "flat",\n'
    '  "position_size": 0,\n  "prev_position_size": 0.4,\n  "quantity": 0.4,\n  "strategy_name": "JADNQ"\n}'
)
CLOSE_TEXT = "order sell @ 0.4 filled on LTCUSDT.P. New strategy position is 0"

needs_tape = pytest.mark.skipif(not LTC_TAPE.exists(), reason="the recorded tape is not beside this checkout")


@needs_tape
class TestTheTape:
    async def test_ledger_paper_books_and_receipts_agree_to_the_last_decimal(self, database, tmp_path):
        paper = PaperSettings(tape=LTC_TAPE, speed=600.0, strict=True)
        async with running_desk(database, tmp_path, paper=paper) as desk:
            bot = await desk.create_bot()
            ana, bruno = await desk.open_account("Ana"), await desk.open_account("Bruno")
            await desk.subscribe(bot, ana, custom_leverage=5, custom_margin_usd="20")
            await desk.subscribe(bot, bruno, custom_leverage=10, custom_margin_usd="50")

            signals = []
            for body in (
                BUY_TEXT,
                CLOSE_JSON,
                BUY_JSON.replace("your-webhook-secret", bot["secret"]),
                CLOSE_TEXT,
            ):
                answer = await desk.post(bot, body)
                assert answer.status_code in (200, 202), answer.text
                signals.append(await desk.receipt(answer.json()["signal_id"]))

            books = await desk.paper_books()
            journal = await open_journal(database)
            fills = await journal.pool.fetch("SELECT * FROM fills ORDER BY account_id, trade_id")
            positions = await journal.pool.fetch("SELECT * FROM positions ORDER BY account_id, position_id")
            comparison = await compare_with_journal(journal)
            await journal.pool.close()

        assert [[row["outcome"] for row in one["rows"]] for one in signals] == [["filled", "filled"]] * 4
        _assert_books_agree(books, fills, positions, signals)
        assert comparison.differences == ()

    async def test_each_subscriber_gets_his_own_size(self, database, tmp_path):
        """F046, F047: 5x/20 USD and 10x/50 USD at the live price, floored to the market step of 0.001."""
        async with running_desk(database, tmp_path, paper=PaperSettings(tape=LTC_TAPE, speed=0.001)) as desk:
            bot = await desk.create_bot()
            for name, leverage, margin in (("Ana", 5, "20"), ("Bruno", 10, "50")):
                account = await desk.open_account(name)
                await desk.subscribe(bot, account, custom_leverage=leverage, custom_margin_usd=margin)

            receipt = await desk.receipt((await desk.post(bot, BUY_TEXT)).json()["signal_id"])

        assert {row["account"]: row["quantity"] for row in receipt["rows"]} == {
            "Ana": "1.2",
            "Bruno": "6.003",
        }
        assert {row["decision_price"] for row in receipt["rows"]} == {"83.29"}


def _assert_books_agree(books, fills, positions, signals) -> None:
    """Compare the three accounts of what happened: the desk's ledger, the exchange's own books, the receipts."""
    theirs = sorted(
        (
            fill["trade_id"],
            fill["symbol"],
            Decimal(fill["price"]),
            Decimal(fill["quantity"]),
            Decimal(fill["fee"]),
        )
        for account in books.values()
        for fill in account["fills"]
    )
    ours = sorted(
        (int(fill["trade_id"]), fill["symbol"], fill["price"], fill["quantity"], fill["fee"])
        for fill in fills
    )
    assert ours == [(int(trade_id), *rest) for trade_id, *rest in theirs]
    assert all(not account["positions"] for account in books.values())

    assert {position["status"] for position in positions} == {"closed"}
    earned = sum(position["realized_pnl"] for position in positions)
    assert earned == sum(Decimal(account["wallet_balance"]) - 10_000 for account in books.values())

    rows = [row for signal in signals for row in signal["rows"]]
    assert sum(Decimal(row["filled_quantity"]) for row in rows) == sum(fill["quantity"] for fill in fills)
    assert sum(Decimal(row["fees"]) for row in rows) == sum(fill["fee"] for fill in fills)
    for row in rows:
        own = [fill for fill in fills if fill["order_id"] == row["order_id"]]
        notional = sum(fill["price"] * fill["quantity"] for fill in own)
        assert Decimal(row["average_price"]) * Decimal(row["filled_quantity"]) == pytest.approx(notional)
