-- Users, whose an account is, and what everybody asked the desk to change.

SET LOCAL search_path = pregao;

CREATE TABLE users (
    user_id            uuid PRIMARY KEY,
    email              text    NOT NULL UNIQUE,
    name               text    NOT NULL,
    role               text    NOT NULL,
    is_active          boolean NOT NULL,
    max_daily_loss_usd numeric,
    max_positions      integer,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL
);

-- What proves a user is no part of the journal, like credentials: it can be forgotten.
CREATE TABLE passwords (
    user_id       uuid PRIMARY KEY,
    password_hash text        NOT NULL,
    changed_at    timestamptz NOT NULL
);
CREATE TABLE sessions (
    session_id     uuid PRIMARY KEY,
    token_sha256   text        NOT NULL UNIQUE,
    user_id        uuid        NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    last_used_at   timestamptz NOT NULL,
    source_address text        NOT NULL,
    user_agent     text        NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE TABLE api_tokens (
    token_id     uuid PRIMARY KEY,
    user_id      uuid        NOT NULL,
    name         text        NOT NULL,
    token_sha256 text        NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX api_tokens_of_user ON api_tokens (user_id);

-- Everything anybody asked the API to change, and what came of it.
CREATE TABLE admin_actions (
    action_id      uuid PRIMARY KEY,
    happened_at    timestamptz NOT NULL,
    user_id        uuid,
    principal      text        NOT NULL,
    source_address text        NOT NULL,
    user_agent     text        NOT NULL,
    method         text        NOT NULL,
    path           text        NOT NULL,
    action         text        NOT NULL,
    targets        jsonb       NOT NULL,
    status         integer     NOT NULL,
    error_code     text,
    duration_ms    integer     NOT NULL
);
CREATE INDEX admin_actions_of_user ON admin_actions (user_id, action_id);

-- Whose an account is; null is the desk's own. What is there already stays the desk's.
ALTER TABLE accounts ADD COLUMN user_id uuid, ADD COLUMN is_main boolean NOT NULL DEFAULT false;
CREATE INDEX accounts_of_user ON accounts (user_id) WHERE user_id IS NOT NULL;

SET LOCAL search_path TO DEFAULT;

CREATE OR REPLACE VIEW public.exchange_accounts AS
SELECT a.account_id AS id, a.name, CASE a.venue WHEN 'paper' THEN 'paper' ELSE 'binance' END AS exchange,
       a.venue <> 'binance' AS testnet, a.is_active, a.position_mode, a.created_at, a.updated_at,
       a.user_id, a.is_main
FROM pregao.accounts AS a;

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
       s.created_at, s.updated_at, a.user_id
FROM pregao.subscriptions AS s JOIN pregao.accounts AS a USING (account_id),
LATERAL (SELECT count(*) AS received, count(*) FILTER (WHERE filled_quantity > 0) AS executed,
                count(*) FILTER (WHERE filled_quantity = 0 AND status IN ('rejected', 'canceled', 'expired')) AS failed,
                max(planned_at) AS last_at
         FROM pregao.orders AS o WHERE o.subscription_id = s.subscription_id) AS done,
LATERAL (SELECT coalesce(sum(realized_pnl), 0) AS pnl, count(*) FILTER (WHERE realized_pnl > 0) AS wins,
                count(*) FILTER (WHERE realized_pnl < 0) AS losses
         FROM pregao.positions AS p WHERE p.subscription_id = s.subscription_id AND p.status = 'closed') AS ended;

CREATE OR REPLACE VIEW public.bot_signal_executions AS
SELECT o.order_id AS id, o.signal_id, o.subscription_id, o.account_id AS exchange_account_id,
       CASE WHEN o.status = 'denied' THEN 'skipped' WHEN o.filled_quantity > 0 THEN 'success'
            WHEN o.status IN ('rejected', 'canceled', 'expired') THEN 'failed' ELSE 'pending' END AS status,
       o.exchange_order_id,
       CASE WHEN o.filled_quantity > 0 THEN o.filled_notional / o.filled_quantity END AS executed_price,
       o.filled_quantity AS executed_quantity, o.reason AS error_message, o.code AS error_code,
       (extract(epoch FROM o.booked_at - o.planned_at) * 1000)::integer AS execution_time_ms,
       p.realized_pnl, p.close_reason, o.planned_at AS created_at, o.booked_at AS completed_at,
       a.user_id
FROM pregao.orders AS o LEFT JOIN pregao.positions AS p USING (position_id)
     LEFT JOIN pregao.accounts AS a ON a.account_id = o.account_id;
