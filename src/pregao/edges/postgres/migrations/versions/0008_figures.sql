-- Who forgave a loss and why; and the source systems' views of what was earned.

ALTER TABLE pregao.daily_results ADD forgiven_by text, ADD forgiven_reason text;

-- Written once per order, when it has ended: planning and sending do not pay for it.
CREATE INDEX orders_ended_of_subscription ON pregao.orders (subscription_id)
    WHERE status IN ('filled', 'rejected', 'canceled', 'expired', 'denied');

-- What an order came to, in the source's words. What filled has succeeded, whatever it was told afterwards.
CREATE FUNCTION pregao.execution_status(status text, filled_quantity numeric) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN filled_quantity > 0 THEN 'success' WHEN status = 'denied' THEN 'skipped'
            WHEN status IN ('rejected', 'canceled', 'expired') THEN 'failed' ELSE 'pending' END
$$;

-- Every order, in three parts that each have a small index: ended, on its way, waiting.
CREATE VIEW pregao.executions AS
SELECT subscription_id, planned_at, pregao.execution_status(status, filled_quantity) AS did FROM pregao.orders
WHERE status IN ('filled', 'rejected', 'canceled', 'expired', 'denied')
UNION ALL
SELECT subscription_id, planned_at, pregao.execution_status(status, filled_quantity) FROM pregao.orders
WHERE status IN ('planned', 'unresolved', 'accepted', 'partially_filled')
UNION ALL
SELECT subscription_id, planned_at, pregao.execution_status(status, filled_quantity) FROM pregao.orders
WHERE status = 'deferred';

CREATE OR REPLACE VIEW public.bots AS
SELECT b.bot_id AS id, b.name, b.description, b.market_type, b.status, b.webhook_path AS master_webhook_path,
       b.default_leverage, b.default_margin_usd, b.default_stop_loss_pct, b.default_take_profit_pct,
       b.allowed_directions, b.trading_symbol, b.default_max_positions,
       (SELECT count(*) FROM pregao.subscriptions AS s WHERE s.bot_id = b.bot_id AND s.status = 'active')
           AS total_subscribers,
       (SELECT count(*) FROM pregao.signals AS g WHERE g.bot_id = b.bot_id AND g.planned_at IS NOT NULL)
           AS total_signals_sent,
       b.created_at, b.updated_at,
       round(100.0 * ended.wins / nullif(ended.wins + ended.losses, 0), 2) AS avg_win_rate,
       round(100 * ended.pnl / nullif(ended.notional, 0), 4) AS avg_pnl_pct,
       b.global_max_daily_loss_usd, ended.lost_today AS global_current_daily_loss_usd, b.global_max_positions
FROM pregao.bots AS b,
LATERAL (SELECT sum(wins) AS wins, sum(losses) AS losses, sum(pnl_usd) AS pnl, sum(notional_usd) AS notional,
                coalesce(sum(counted_loss_usd) FILTER (WHERE day = (now() AT TIME ZONE 'UTC')::date), 0) AS lost_today
         FROM pregao.daily_results AS d WHERE d.bot_id = b.bot_id) AS ended;

CREATE OR REPLACE VIEW public.bot_signals AS
SELECT s.signal_id AS id, s.bot_id, s.symbol AS ticker,
       CASE s.action WHEN 'enter' THEN s.side ELSE s.action END AS action, s.price,
       s.accounts AS total_subscribers,
       done.success AS successful_executions, done.failed AS failed_executions,
       (extract(epoch FROM s.settled_at - s.received_at) * 1000)::integer AS broadcast_duration_ms,
       s.source, s.source_address AS source_ip, pregao.body_as_json(s.body) AS payload,
       s.received_at AS created_at, s.settled_at AS completed_at, done.skipped AS skipped_executions
FROM pregao.signals AS s,
LATERAL (SELECT count(*) FILTER (WHERE did = 'success') AS success, count(*) FILTER (WHERE did = 'failed') AS failed,
                count(*) FILTER (WHERE did = 'skipped') AS skipped
         FROM (SELECT pregao.execution_status(status, filled_quantity) AS did FROM pregao.orders AS o
               WHERE o.signal_id = s.signal_id) AS one) AS done
WHERE s.action IS NOT NULL;

CREATE OR REPLACE VIEW public.bot_signal_executions AS
SELECT o.order_id AS id, o.signal_id, o.subscription_id, o.account_id AS exchange_account_id,
       pregao.execution_status(o.status, o.filled_quantity) AS status, o.exchange_order_id,
       CASE WHEN o.filled_quantity > 0 THEN o.filled_notional / o.filled_quantity END AS executed_price,
       o.filled_quantity AS executed_quantity, o.reason AS error_message, o.code AS error_code,
       (extract(epoch FROM o.booked_at - o.planned_at) * 1000)::integer AS execution_time_ms,
       p.realized_pnl, p.close_reason, o.planned_at AS created_at, o.booked_at AS completed_at,
       a.user_id
FROM pregao.orders AS o LEFT JOIN pregao.positions AS p USING (position_id)
     LEFT JOIN pregao.accounts AS a ON a.account_id = o.account_id;

CREATE OR REPLACE VIEW public.bot_subscriptions AS
SELECT s.subscription_id AS id, s.bot_id, s.account_id AS exchange_account_id,
       CASE s.status WHEN 'canceled' THEN 'cancelled' ELSE s.status END AS status,
       s.custom_leverage, s.custom_margin_usd, s.custom_stop_loss_pct, s.custom_take_profit_pct,
       s.max_daily_loss_usd, s.max_concurrent_positions,
       (SELECT count(*) FROM pregao.positions AS p WHERE p.subscription_id = s.subscription_id
           AND p.status IN ('pending', 'open', 'closing')) AS current_positions,
       done.received AS total_signals_received, done.executed AS total_orders_executed,
       done.failed AS total_orders_failed, done.last_at AS last_signal_at,
       ended.pnl AS total_pnl_usd, ended.wins AS win_count, ended.losses AS loss_count,
       s.created_at, s.updated_at, a.user_id,
       ended.lost_today AS current_daily_loss_usd, done.skipped AS total_orders_skipped
FROM pregao.subscriptions AS s JOIN pregao.accounts AS a USING (account_id),
LATERAL (SELECT count(*) AS received, count(*) FILTER (WHERE did = 'success') AS executed,
                count(*) FILTER (WHERE did = 'failed') AS failed, count(*) FILTER (WHERE did = 'skipped') AS skipped,
                max(planned_at) AS last_at
         FROM pregao.executions AS e WHERE e.subscription_id = s.subscription_id) AS done,
LATERAL (SELECT coalesce(sum(pnl_usd), 0) AS pnl, coalesce(sum(wins), 0) AS wins, coalesce(sum(losses), 0) AS losses,
                coalesce(sum(counted_loss_usd) FILTER (WHERE day = (now() AT TIME ZONE 'UTC')::date), 0) AS lost_today
         FROM pregao.daily_results AS d WHERE d.subscription_id = s.subscription_id) AS ended;

-- A day has its row from its first closed position on; nobody has to take a snapshot.
CREATE VIEW public.bot_pnl_history AS
SELECT subscription_id, day AS snapshot_date, daily_pnl_usd, daily_trades, daily_wins, daily_losses,
       cumulative_pnl_usd, cumulative_trades, cumulative_wins, cumulative_losses,
       round(100.0 * cumulative_wins / nullif(cumulative_wins + cumulative_losses, 0), 2) AS win_rate_pct, user_id
FROM (
    SELECT d.subscription_id, d.day, a.user_id, sum(d.pnl_usd) AS daily_pnl_usd, sum(d.closed) AS daily_trades,
           sum(d.wins) AS daily_wins, sum(d.losses) AS daily_losses,
           sum(sum(d.pnl_usd)) OVER so_far AS cumulative_pnl_usd,
           (sum(sum(d.closed)) OVER so_far)::bigint AS cumulative_trades,
           (sum(sum(d.wins)) OVER so_far)::bigint AS cumulative_wins,
           (sum(sum(d.losses)) OVER so_far)::bigint AS cumulative_losses
    FROM pregao.daily_results AS d LEFT JOIN pregao.accounts AS a USING (account_id)
    WHERE d.closed > 0
    GROUP BY d.subscription_id, d.day, a.user_id
    WINDOW so_far AS (PARTITION BY d.subscription_id ORDER BY d.day)
) AS days;

CREATE VIEW public.bot_trades AS
SELECT p.position_id AS id, p.subscription_id, a.user_id, entry.order_id AS signal_execution_id, p.symbol,
       CASE p.direction WHEN 'long' THEN 'buy' ELSE 'sell' END AS side, p.direction,
       p.entry_notional / nullif(p.entered_quantity, 0) AS entry_price, p.entered_quantity AS entry_quantity,
       entry.exchange_order_id AS entry_order_id, p.opened_at AS entry_time,
       p.exit_notional / nullif(p.exited_quantity, 0) AS exit_price, p.exited_quantity AS exit_quantity,
       leaving.exchange_order_id AS exit_order_id, CASE p.status WHEN 'closed' THEN p.closed_at END AS exit_time,
       CASE p.close_reason WHEN 'closed_outside' THEN 'ghost_cleanup_sync' ELSE p.close_reason END AS exit_reason,
       p.realized_pnl AS pnl_usd, round(100 * p.realized_pnl / nullif(p.entry_notional, 0), 4) AS pnl_pct,
       CASE WHEN p.status = 'closed' AND p.realized_pnl <> 0 THEN p.realized_pnl > 0 END AS is_winner,
       CASE p.status WHEN 'closed' THEN 'closed' WHEN 'abandoned' THEN 'cancelled' ELSE 'open' END AS status,
       p.fees, NULL::text AS sl_order_id, NULL::text AS tp_order_id,  -- stops are not built yet
       p.created_at, p.updated_at
FROM pregao.positions AS p LEFT JOIN pregao.accounts AS a USING (account_id)
LEFT JOIN LATERAL (SELECT order_id, exchange_order_id FROM pregao.orders AS o
                   WHERE o.position_id = p.position_id AND o.leg = 'entry'
                   ORDER BY o.planned_at LIMIT 1) AS entry ON true
LEFT JOIN LATERAL (SELECT exchange_order_id FROM pregao.orders AS o
                   WHERE o.position_id = p.position_id AND o.leg = 'exit' AND o.filled_quantity > 0
                   ORDER BY o.planned_at DESC LIMIT 1) AS leaving ON true;
