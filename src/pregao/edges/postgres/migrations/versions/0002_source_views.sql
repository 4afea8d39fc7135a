-- The source systems' tables, under their names and columns, for whoever queries them from outside. Read only.
-- Tables of rooms that are not built yet (stops, screener, cache) come with their rooms.

CREATE FUNCTION pregao.body_as_json(body bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(body, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
    -- Text alerts and broken bodies are shown too, as a JSON string.
    RETURN to_jsonb(encode(body, 'escape'));
END $$;

CREATE VIEW public.signals AS
SELECT signal_id, symbol AS ticker, symbol AS normalised_ticker, side, price,
       CASE status WHEN 'accepted' THEN 'processing' WHEN 'refused' THEN 'rejected' WHEN 'declined' THEN 'rejected'
                   WHEN 'planned' THEN 'approved' WHEN 'settled' THEN 'approved' ELSE status END AS status,
       CASE WHEN action = 'close' THEN 'position_close' WHEN action = 'close_all' THEN 'sell_all'
            ELSE side END AS signal_type,
       received_at AS created_at, coalesce(settled_at, planned_at, decided_at, read_at, received_at) AS updated_at,
       pregao.body_as_json(body) AS original_signal,
       (extract(epoch FROM coalesce(settled_at, planned_at, decided_at, read_at) - received_at) * 1000)::integer
           AS processing_time_ms,
       reason AS error_message, deliveries - 1 AS retry_count
FROM pregao.signals;

CREATE VIEW public.signal_events AS
SELECT seq AS event_id, signal_id, happened_at AS timestamp,
       CASE kind WHEN 'SignalReceived' THEN 'received' WHEN 'SignalAccepted' THEN 'processing'
                 WHEN 'SignalRefused' THEN 'rejected' WHEN 'DecisionApproved' THEN 'approved'
                 WHEN 'DecisionDeclined' THEN 'rejected' ELSE kind END AS status,
       coalesce(fact ->> 'reason', '') AS details, fact ->> 'owner' AS worker_id
FROM pregao.journal
WHERE signal_id IS NOT NULL;

CREATE VIEW public.positions AS
SELECT position_id AS id, symbol AS ticker,
       CASE status WHEN 'pending' THEN 'open' WHEN 'abandoned' THEN 'closed' ELSE status END AS status,
       signal_id AS entry_signal_id, exit_signal_id, coalesce(opened_at, created_at) AS opened_at, closed_at
FROM pregao.positions;

CREATE VIEW public.bots AS
SELECT b.bot_id AS id, b.name, b.description, b.market_type, b.status, b.webhook_path AS master_webhook_path,
       b.default_leverage, b.default_margin_usd, b.default_stop_loss_pct, b.default_take_profit_pct,
       b.allowed_directions, b.trading_symbol, b.default_max_positions,
       (SELECT count(*) FROM pregao.subscriptions AS s WHERE s.bot_id = b.bot_id AND s.status = 'active')
           AS total_subscribers,
       (SELECT count(*) FROM pregao.signals AS g WHERE g.bot_id = b.bot_id AND g.planned_at IS NOT NULL)
           AS total_signals_sent,
       b.created_at, b.updated_at
FROM pregao.bots AS b;

CREATE VIEW public.exchange_accounts AS
SELECT a.account_id AS id, a.name, CASE a.venue WHEN 'paper' THEN 'paper' ELSE 'binance' END AS exchange,
       a.venue <> 'binance' AS testnet, a.is_active, a.position_mode, a.created_at, a.updated_at
FROM pregao.accounts AS a;

CREATE VIEW public.bot_signals AS
SELECT s.signal_id AS id, s.bot_id, s.symbol AS ticker,
       CASE s.action WHEN 'enter' THEN s.side ELSE s.action END AS action, s.price,
       s.accounts AS total_subscribers,
       (SELECT count(*) FROM pregao.orders AS o WHERE o.signal_id = s.signal_id AND o.filled_quantity > 0)
           AS successful_executions,
       (SELECT count(*) FROM pregao.orders AS o WHERE o.signal_id = s.signal_id AND o.filled_quantity = 0
           AND o.status IN ('rejected', 'canceled', 'expired')) AS failed_executions,
       (extract(epoch FROM s.settled_at - s.received_at) * 1000)::integer AS broadcast_duration_ms,
       s.source, s.source_address AS source_ip, pregao.body_as_json(s.body) AS payload,
       s.received_at AS created_at, s.settled_at AS completed_at
FROM pregao.signals AS s
WHERE s.action IS NOT NULL;

CREATE VIEW public.bot_signal_executions AS
SELECT o.order_id AS id, o.signal_id, o.subscription_id, o.account_id AS exchange_account_id,
       CASE WHEN o.status = 'denied' THEN 'skipped' WHEN o.filled_quantity > 0 THEN 'success'
            WHEN o.status IN ('rejected', 'canceled', 'expired') THEN 'failed' ELSE 'pending' END AS status,
       o.exchange_order_id,
       CASE WHEN o.filled_quantity > 0 THEN o.filled_notional / o.filled_quantity END AS executed_price,
       o.filled_quantity AS executed_quantity, o.reason AS error_message, o.code AS error_code,
       (extract(epoch FROM o.booked_at - o.planned_at) * 1000)::integer AS execution_time_ms,
       p.realized_pnl, p.close_reason, o.planned_at AS created_at, o.booked_at AS completed_at
FROM pregao.orders AS o LEFT JOIN pregao.positions AS p USING (position_id);

CREATE VIEW public.bot_subscriptions AS
SELECT s.subscription_id AS id, s.bot_id, s.account_id AS exchange_account_id,
       CASE s.status WHEN 'canceled' THEN 'cancelled' ELSE s.status END AS status,
       s.custom_leverage, s.custom_margin_usd, s.custom_stop_loss_pct, s.custom_take_profit_pct,
       s.max_daily_loss_usd, s.max_concurrent_positions,
       (SELECT count(*) FROM pregao.positions AS p WHERE p.subscription_id = s.subscription_id
           AND p.status IN ('pending', 'open', 'closing')) AS current_positions,
       done.received AS total_signals_received, done.executed AS total_orders_executed,
       done.failed AS total_orders_failed, done.last_at AS last_signal_at,
       ended.pnl AS total_pnl_usd, ended.wins AS win_count, ended.losses AS loss_count,
       s.created_at, s.updated_at
FROM pregao.subscriptions AS s,
LATERAL (SELECT count(*) AS received, count(*) FILTER (WHERE filled_quantity > 0) AS executed,
                count(*) FILTER (WHERE filled_quantity = 0 AND status IN ('rejected', 'canceled', 'expired')) AS failed,
                max(planned_at) AS last_at
         FROM pregao.orders AS o WHERE o.subscription_id = s.subscription_id) AS done,
LATERAL (SELECT coalesce(sum(realized_pnl), 0) AS pnl, count(*) FILTER (WHERE realized_pnl > 0) AS wins,
                count(*) FILTER (WHERE realized_pnl < 0) AS losses
         FROM pregao.positions AS p WHERE p.subscription_id = s.subscription_id AND p.status = 'closed') AS ended;

-- Counted from the journal's state, so that they survive a restart and cannot drift.
CREATE VIEW public.signal_metrics AS
SELECT row_number() OVER (ORDER BY metric_name) AS id, metric_name, metric_value, now() AS last_updated
FROM (
    SELECT 'signals_received' AS metric_name, count(*) AS metric_value FROM pregao.signals
    UNION ALL SELECT 'signals_approved', count(*) FROM pregao.signals WHERE status IN ('approved', 'planned', 'settled')
    UNION ALL SELECT 'signals_rejected', count(*) FROM pregao.signals WHERE status IN ('refused', 'declined')
    UNION ALL SELECT 'signals_forwarded_success', count(*) FROM pregao.orders WHERE status = 'filled'
    UNION ALL SELECT 'signals_forwarded_error', count(*) FROM pregao.orders WHERE status = 'rejected'
    UNION ALL SELECT 'processing_workers_active', count(*) FROM pregao.workers
                     WHERE role = 'trader' AND lease_until > clock_timestamp()
    UNION ALL SELECT 'forwarding_workers_active', count(*) FROM pregao.workers
                     WHERE role = 'trader' AND lease_until > clock_timestamp()
) AS counted;
