-- One row for each position that was ever filled; a position nothing was asked for has one that watches nothing.
CREATE TABLE pregao.stops (
    position_id     bigint PRIMARY KEY,
    account_id      bigint NOT NULL,
    bot_id          uuid NOT NULL,
    subscription_id uuid NOT NULL,
    signal_id       uuid NOT NULL,
    venue           text NOT NULL,
    symbol          text NOT NULL,
    position_side   text NOT NULL,
    direction       text NOT NULL,
    status          text NOT NULL,     -- armed, triggered, disarmed
    version         int NOT NULL,
    entry_price     numeric NOT NULL,
    price_tick      numeric NOT NULL,
    initial_stop    numeric,           -- null: targets only, or nothing
    stop_price      numeric,
    atr             numeric,
    rule            jsonb NOT NULL,
    targets         jsonb NOT NULL,
    is_anchor_final boolean NOT NULL,
    is_required     boolean NOT NULL,
    held_since      timestamptz NOT NULL,  -- venue clock
    armed_at        timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    left_at         timestamptz,       -- nothing of the position may trade any more
    -- The venue's line that was planned last and may still trade; null where there is none.
    line_id         text,
    line_status     text,
    line_price      numeric,
    line_quantity   numeric,           -- null with an id: it closes the position
    line_at         timestamptz,       -- no other is tried before
    refusals        int NOT NULL DEFAULT 0  -- in a row
);
CREATE INDEX stops_watched ON pregao.stops (venue, symbol) WHERE left_at IS NULL AND status <> 'disarmed';
CREATE INDEX stops_of_account ON pregao.stops (account_id, symbol) WHERE left_at IS NULL;
CREATE INDEX stops_misplaced ON pregao.stops (venue, position_id)
    WHERE left_at IS NULL AND status = 'armed' AND stop_price IS NOT NULL AND line_price IS DISTINCT FROM stop_price;
CREATE INDEX stops_with_quantity ON pregao.stops (venue, position_id)
    WHERE left_at IS NULL AND status = 'armed' AND line_quantity IS NOT NULL;
CREATE INDEX stops_without_line ON pregao.stops (venue, position_id)
    WHERE left_at IS NULL AND is_required AND (line_status IS DISTINCT FROM 'accepted' OR line_quantity IS NOT NULL);
CREATE INDEX stops_to_leave ON pregao.stops (venue, position_id) WHERE left_at IS NULL AND status = 'disarmed';

-- Every move of a stop that follows the price, once each.
CREATE TABLE pregao.stop_moves (
    token         text PRIMARY KEY,    -- position:step
    position_id   bigint NOT NULL,
    old_stop      numeric NOT NULL,
    new_stop      numeric NOT NULL,
    reason        text NOT NULL,
    current_price numeric NOT NULL,
    spans_crossed int NOT NULL,
    step_index    int NOT NULL,
    span          numeric NOT NULL,
    version       int NOT NULL,
    source        text NOT NULL,
    moved_at      timestamptz NOT NULL
);
CREATE INDEX stop_moves_of_position ON pregao.stop_moves (position_id);

-- A claimed exit: whoever is first has it, whichever way the level was seen.
CREATE TABLE pregao.stop_claims (
    token            text NOT NULL,    -- position:level:version
    kind             text NOT NULL,    -- stop, target
    number           int NOT NULL,     -- of the target; 0 for the stop
    position_id      bigint NOT NULL,
    account_id       bigint NOT NULL,
    signal_id        uuid NOT NULL,
    venue            text NOT NULL,
    symbol           text NOT NULL,
    version          int NOT NULL,
    level            numeric NOT NULL,
    price            numeric NOT NULL, -- that was seen
    price_at         timestamptz,
    estimated_price  numeric,
    source           text NOT NULL,
    claimed_by       text NOT NULL,
    seen_at          timestamptz NOT NULL,
    is_from_memory   boolean NOT NULL,
    status           text NOT NULL,    -- pending, submitted, executed, failed, blocked
    attempts         int NOT NULL DEFAULT 0,
    questions        int NOT NULL DEFAULT 0,  -- for a price, after a stale one
    order_id         text,             -- of the last attempt
    is_bounded       boolean NOT NULL DEFAULT false,
    again_at         timestamptz,      -- when it is looked at again
    code             text,
    reason           text,
    exit_price       numeric,
    slippage_percent numeric,          -- of the level; positive is worse
    executed_at      timestamptz,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (token, kind, number)
);
CREATE INDEX stop_claims_of_position ON pregao.stop_claims (position_id);
CREATE INDEX stop_claims_due ON pregao.stop_claims (again_at) WHERE status <> 'executed' AND again_at IS NOT NULL;
CREATE INDEX stop_claims_of_account ON pregao.stop_claims (account_id, seen_at DESC);

-- A protective order of ours at a venue.
CREATE TABLE pregao.protections (
    protection_id          text PRIMARY KEY,
    position_id            bigint NOT NULL,
    account_id             bigint NOT NULL,
    signal_id              uuid NOT NULL,
    venue                  text NOT NULL,
    symbol                 text NOT NULL,
    kind                   text NOT NULL,
    number                 int NOT NULL,
    version                int NOT NULL,
    stop_version           int NOT NULL,
    side                   text NOT NULL,
    position_side          text NOT NULL,
    trigger_price          numeric NOT NULL,
    quantity               numeric,    -- null closes the position
    status                 text NOT NULL,
    exchange_protection_id text,
    triggered_order_id     text,
    code                   text,
    reason                 text,
    signed_at_ms           bigint NOT NULL,
    recv_window_ms         int NOT NULL,
    owner                  text NOT NULL,
    lease_epoch            bigint NOT NULL,
    planned_at             timestamptz NOT NULL,
    sent_at                timestamptz,
    acknowledged_at        timestamptz,
    ended_at               timestamptz,
    updated_at             timestamptz NOT NULL,
    check_at               timestamptz,  -- when it is asked about
    checks                 int NOT NULL DEFAULT 0
);
CREATE INDEX protections_of_position ON pregao.protections (position_id);
CREATE INDEX protections_standing ON pregao.protections (account_id, symbol)
    WHERE status IN ('planned', 'unresolved', 'accepted', 'triggering', 'triggered');
CREATE INDEX protections_due ON pregao.protections (check_at)
    WHERE status IN ('planned', 'unresolved', 'triggering', 'triggered');

-- Who watches a symbol's price, and when it last came. No fold of facts: each monitor writes all of its own.
CREATE TABLE pregao.watches (
    venue       text NOT NULL,
    symbol      text NOT NULL,
    worker_id   text NOT NULL,
    lease_epoch bigint NOT NULL,
    source      text NOT NULL,         -- ws, cron
    price_at    timestamptz,
    bid         numeric,
    ask         numeric,
    told_at     timestamptz NOT NULL,
    PRIMARY KEY (venue, symbol)
);

-- How positions are guarded beside the two percentages; of a subscription null is not set.
ALTER TABLE pregao.bots ADD guard jsonb NOT NULL DEFAULT '{}';
ALTER TABLE pregao.subscriptions ADD custom_guard jsonb;

-- What the exits of a user's stops and targets are held to.
ALTER TABLE pregao.users
    ADD max_slippage_pct          numeric NOT NULL DEFAULT 5,
    ADD slippage_pause_pct        numeric NOT NULL DEFAULT 10,
    ADD max_executions_per_minute int NOT NULL DEFAULT 10,
    ADD max_executions_per_hour   int NOT NULL DEFAULT 100;

-- Which try of which claim an exit is; null for every other order.
ALTER TABLE pregao.orders ADD execution jsonb;
CREATE INDEX orders_of_executions ON pregao.orders (account_id, planned_at) WHERE execution IS NOT NULL;

-- System D's projection and its events, as it named them.
CREATE VIEW public.stop_executions AS
SELECT token AS execution_token, position_id AS operation_id, kind, number AS target_number, upper(status) AS status,
       level AS stop_price, price AS trigger_price, exit_price AS execution_price, slippage_percent AS slippage_pct,
       source, order_id, attempts, code, reason AS error, seen_at AS triggered_at, executed_at, updated_at
FROM pregao.stop_claims;

CREATE VIEW public.stop_events AS
SELECT seq AS event_seq, happened_at AS created_at,
       CASE kind WHEN 'StopTriggered' THEN upper(fact #>> '{trigger,kind}') || '_TRIGGERED'
                 WHEN 'OrderPlanned' THEN 'EXECUTION_SUBMITTED'
                 WHEN 'ExecutionMoved' THEN upper(fact ->> 'status')
                 WHEN 'GuardrailBlocked' THEN fact ->> 'guardrail' END AS event_type,
       coalesce(fact ->> 'token', fact #>> '{execution,token}') AS execution_token,
       coalesce((fact ->> 'position_id')::bigint, (fact #>> '{stop,position_id}')::bigint) AS operation_id,
       account_id, signal_id, fact AS metadata
FROM pregao.journal
WHERE kind IN ('StopTriggered', 'ExecutionMoved', 'GuardrailBlocked')
   OR (kind = 'OrderPlanned' AND fact ->> 'execution' IS NOT NULL);
