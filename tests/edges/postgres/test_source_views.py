"""The source systems' tables as outsiders query them: views in `public`, under their names and columns."""

from decimal import Decimal

import pytest

from tests.builders import configured, instruction
from tests.journeys.conftest import desk, now  # noqa: F401  # the fixture of a running trader

VIEWS = {
    "signals": {"signal_id", "ticker", "normalised_ticker", "side", "price", "status", "original_signal"},
    "signal_events": {"event_id", "signal_id", "timestamp", "status", "details", "worker_id"},
    "positions": {"id", "ticker", "status", "entry_signal_id", "exit_signal_id", "opened_at", "closed_at"},
    "bots": {
        "id",
        "avg_win_rate",
        "avg_pnl_pct",
        "name",
        "status",
        "master_webhook_path",
        "default_leverage",
        "total_subscribers",
    },
    "bot_subscriptions": {
        "id",
        "user_id",
        "bot_id",
        "exchange_account_id",
        "status",
        "win_count",
        "total_pnl_usd",
    },
    "bot_signals": {"id", "bot_id", "ticker", "action", "total_subscribers", "successful_executions"},
    "bot_signal_executions": {
        "signal_id",
        "user_id",
        "status",
        "executed_price",
        "executed_quantity",
        "error_code",
    },
    "exchange_accounts": {
        "id",
        "user_id",
        "is_main",
        "name",
        "exchange",
        "testnet",
        "is_active",
        "position_mode",
    },
    "bot_pnl_history": {
        "subscription_id",
        "snapshot_date",
        "daily_pnl_usd",
        "daily_trades",
        "daily_wins",
        "daily_losses",
        "cumulative_pnl_usd",
        "cumulative_trades",
        "cumulative_wins",
        "cumulative_losses",
        "win_rate_pct",
    },
    "bot_trades": {
        "subscription_id",
        "user_id",
        "signal_execution_id",
        "symbol",
        "side",
        "direction",
        "entry_price",
        "entry_quantity",
        "entry_order_id",
        "entry_time",
        "exit_price",
        "exit_quantity",
        "exit_order_id",
        "exit_time",
        "exit_reason",
        "pnl_usd",
        "pnl_pct",
        "is_winner",
        "status",
        "fees",
        "sl_order_id",
        "tp_order_id",
    },
    "signal_metrics": {"id", "metric_name", "metric_value", "last_updated"},
}


class TestSourceViews:
    @pytest.mark.parametrize("view", VIEWS)
    async def test_has_the_columns_outsiders_know(self, desk, view):  # noqa: F811
        rows = await desk.rows(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1",
            view,
        )

        assert {row["column_name"] for row in rows} >= VIEWS[view]

    async def test_tell_what_a_signal_did(self, desk):  # noqa: F811
        await desk.put(configured(accounts=2, now=now()))
        desk.exchange.refuse_next(account_id=1)
        await desk.start_trader()
        signal_id = await desk.signal(instruction(now=now()))
        await desk.settled(signal_id)

        [signal] = await desk.rows("SELECT * FROM public.bot_signals")
        executions = await desk.rows(
            "SELECT * FROM public.bot_signal_executions ORDER BY exchange_account_id"
        )
        metrics = await desk.rows("SELECT metric_name, metric_value FROM public.signal_metrics")

        assert (
            signal["total_subscribers"],
            signal["successful_executions"],
            signal["failed_executions"],
        ) == (2, 1, 1)
        assert [row["status"] for row in executions] == ["failed", "success"]
        assert executions[1]["executed_price"] == Decimal("95200.0")
        assert dict(map(tuple, metrics))["signals_received"] == 1
