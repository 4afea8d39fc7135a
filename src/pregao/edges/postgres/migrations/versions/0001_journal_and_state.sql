-- The journal, the state that is its fold, and the leases. Everything of ours lives in the schema pregao.

CREATE SCHEMA pregao;
SET LOCAL search_path = pregao;

-- One desk per database. Its id goes into every client order id and survives a clear; the epoch does not.
CREATE TABLE desk (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    desk_id    uuid    NOT NULL DEFAULT gen_random_uuid(),
    epoch      integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO desk DEFAULT VALUES;

-- The journal. A reader's cursor is (epoch, xid, seq), read below pg_snapshot_xmin: a late commit is not missed.
CREATE SEQUENCE journal_seq AS bigint;
CREATE TABLE journal (
    epoch       integer     NOT NULL,
    xid         xid8        NOT NULL DEFAULT pg_current_xact_id(),
    seq         bigint      NOT NULL DEFAULT nextval('pregao.journal_seq'),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    kind        text        NOT NULL,
    happened_at timestamptz NOT NULL,
    signal_id   uuid,
    account_id  bigint,
    fact        jsonb       NOT NULL,
    PRIMARY KEY (epoch, xid, seq, recorded_at)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX journal_of_signal ON journal (signal_id) WHERE signal_id IS NOT NULL;
CREATE TABLE journal_rest PARTITION OF journal DEFAULT;

CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'JOURNAL_APPEND_ONLY: operation=% table=%. Facts are never changed or deleted.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON journal
    FOR EACH ROW EXECUTE FUNCTION journal_is_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON journal_rest
    FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();

-- Makes the partition of a month, with its own guard against TRUNCATE. Safe to call twice, and by two at once.
CREATE FUNCTION ensure_journal_month(month_of timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    first_day date := date_trunc('month', month_of AT TIME ZONE 'UTC')::date;
    name text := 'journal_' || to_char(first_day, 'YYYYMM');
BEGIN
    IF to_regclass('pregao.' || name) IS NULL THEN
        BEGIN
            EXECUTE format(
                'CREATE TABLE pregao.%I PARTITION OF pregao.journal FOR VALUES FROM (%L) TO (%L)',
                name, first_day::text || ' 00:00+00', (first_day + interval '1 month')::date::text || ' 00:00+00');
            EXECUTE format(
                'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON pregao.%I FOR EACH STATEMENT
                 EXECUTE FUNCTION pregao.journal_is_append_only()', name);
        EXCEPTION WHEN duplicate_table THEN
            NULL;  -- somebody else made it while we waited
        END;
    END IF;
    RETURN name;
END $$;

-- Workers hold leases, judged by this server's clock only.
CREATE SEQUENCE lease_epochs AS bigint;
CREATE TABLE workers (
    worker_id   text PRIMARY KEY,
    role        text        NOT NULL,
    lease_epoch bigint      NOT NULL,
    lease_until timestamptz NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE leases (
    name        text PRIMARY KEY,
    worker_id   text        NOT NULL,
    lease_epoch bigint      NOT NULL,
    lease_until timestamptz NOT NULL
);

-- Who trades.
CREATE SEQUENCE account_ids AS bigint;
CREATE TABLE accounts (
    account_id    bigint PRIMARY KEY,
    name          text    NOT NULL,
    venue         text    NOT NULL,
    position_mode text    NOT NULL,
    margin_mode   text    NOT NULL,
    margin_asset  text    NOT NULL,
    is_active     boolean NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);
-- Credentials are sealed by envelope encryption and are no part of the journal: they can be forgotten.
CREATE TABLE credentials (
    account_id  bigint PRIMARY KEY,
    sealed      bytea  NOT NULL,
    wrapped_key bytea  NOT NULL,
    master_key  text   NOT NULL,
    sealed_at   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE bots (
    bot_id                  uuid PRIMARY KEY,
    name                    text    NOT NULL,
    description             text    NOT NULL,
    market_type             text    NOT NULL,
    status                  text    NOT NULL,
    webhook_path            text    NOT NULL UNIQUE,
    secret_sha256           text    NOT NULL,
    allowed_directions      text    NOT NULL,
    trading_symbol          text,
    default_leverage        integer NOT NULL,
    default_margin_usd      numeric NOT NULL,
    default_stop_loss_pct   numeric NOT NULL,
    default_take_profit_pct numeric NOT NULL,
    default_max_positions   integer NOT NULL,
    signals_per_minute_max  integer,
    is_open                 boolean NOT NULL,
    created_at              timestamptz NOT NULL,
    updated_at              timestamptz NOT NULL
);
CREATE TABLE subscriptions (
    subscription_id          uuid PRIMARY KEY,
    bot_id                   uuid    NOT NULL REFERENCES bots,
    account_id               bigint  NOT NULL REFERENCES accounts,
    status                   text    NOT NULL,
    custom_leverage          integer,
    custom_margin_usd        numeric,
    custom_stop_loss_pct     numeric,
    custom_take_profit_pct   numeric,
    max_daily_loss_usd       numeric NOT NULL,
    max_concurrent_positions integer NOT NULL,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,
    UNIQUE (bot_id, account_id)
);

-- Signals, and the memory of what was delivered.
CREATE TABLE signals (
    signal_id      uuid PRIMARY KEY,
    bot_id         uuid        NOT NULL,
    status         text        NOT NULL,
    received_at    timestamptz NOT NULL,
    body           bytea       NOT NULL,
    content_type   text        NOT NULL,
    source         text        NOT NULL,
    source_address text        NOT NULL,
    deliveries     integer     NOT NULL DEFAULT 1,
    action         text,
    symbol         text,
    side           text,
    price          numeric,
    not_used       text[]      NOT NULL DEFAULT '{}',
    code           text,
    reason         text,
    verdicts       jsonb,
    read_at        timestamptz,
    decided_at     timestamptz,
    planned_at     timestamptz,
    accounts       integer,
    orders         integer,
    orders_live    integer,
    settled_at     timestamptz
);
CREATE INDEX signals_to_decide ON signals (received_at) WHERE status = 'accepted';
CREATE INDEX signals_of_bot ON signals (bot_id, received_at);
CREATE TABLE deliveries (
    bot_id         uuid        NOT NULL,
    dedupe_key     text        NOT NULL,
    signal_id      uuid        NOT NULL,
    first_at       timestamptz NOT NULL,
    is_explicit_id boolean     NOT NULL,
    PRIMARY KEY (bot_id, dedupe_key)
);
CREATE TABLE deliveries_turned_away (
    webhook_path   text        NOT NULL,
    source_address text        NOT NULL,
    body_sha256    text        NOT NULL,
    body_size      integer     NOT NULL,
    happened_at    timestamptz NOT NULL
);

-- Positions: at most one live position per account, symbol and position side.
CREATE SEQUENCE position_ids AS bigint;
CREATE TABLE positions (
    position_id      bigint PRIMARY KEY,
    account_id       bigint  NOT NULL,
    bot_id           uuid    NOT NULL,
    subscription_id  uuid    NOT NULL,
    signal_id        uuid    NOT NULL,
    symbol           text    NOT NULL,
    position_side    text    NOT NULL,
    direction        text    NOT NULL,
    status           text    NOT NULL,
    leverage         integer NOT NULL,
    entered_quantity numeric NOT NULL,
    exited_quantity  numeric NOT NULL,
    entry_notional   numeric NOT NULL,
    exit_notional    numeric NOT NULL,
    fees             numeric NOT NULL,
    realized_pnl     numeric NOT NULL,
    opened_at        timestamptz,
    closed_at        timestamptz,
    exit_signal_id   uuid,
    close_reason     text,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL
);
CREATE UNIQUE INDEX positions_live ON positions (account_id, symbol, position_side)
    WHERE status IN ('pending', 'open', 'closing');
CREATE INDEX positions_live_of_bot ON positions (bot_id) WHERE status IN ('pending', 'open', 'closing');

-- Orders, their attempts, their fills.
CREATE TABLE orders (
    order_id          text PRIMARY KEY,
    attempt           integer NOT NULL,
    client_order_id   text,
    signal_id         uuid    NOT NULL,
    bot_id            uuid    NOT NULL,
    subscription_id   uuid    NOT NULL,
    account_id        bigint  NOT NULL,
    venue             text,
    leg               text    NOT NULL,
    position_id       bigint,
    symbol            text    NOT NULL,
    side              text,
    position_side     text,
    quantity          numeric,
    reduce_only       boolean,
    leverage          integer,
    margin_mode       text,
    margin_usd        numeric,
    decision_price    numeric,
    send_before       timestamptz,
    status            text    NOT NULL,
    code              text,
    reason            text,
    is_dead           boolean NOT NULL DEFAULT false,
    exchange_order_id text,
    filled_quantity   numeric NOT NULL DEFAULT 0,
    filled_notional   numeric NOT NULL DEFAULT 0,
    fees              numeric NOT NULL DEFAULT 0,
    planned_at        timestamptz NOT NULL,
    sent_at           timestamptz,
    acknowledged_at   timestamptz,
    filled_at         timestamptz,
    booked_at         timestamptz,
    updated_at        timestamptz NOT NULL,
    check_at          timestamptz,
    checks            integer NOT NULL DEFAULT 0
);
CREATE INDEX orders_of_signal ON orders (signal_id);
-- Small: only orders that may still trade. Finding those of one account reads it whole.
CREATE INDEX orders_to_check ON orders (check_at, account_id)
    WHERE status IN ('planned', 'unresolved', 'accepted', 'partially_filled');
CREATE INDEX orders_of_position ON orders (position_id) WHERE position_id IS NOT NULL;
CREATE TABLE attempts (
    order_id        text    NOT NULL,
    attempt         integer NOT NULL,
    client_order_id text    NOT NULL,  -- the order's id and the attempt: as unique as this key
    signed_at_ms    bigint  NOT NULL,
    recv_window_ms  integer NOT NULL CHECK (recv_window_ms BETWEEN 1 AND 5000),
    owner           text    NOT NULL,
    lease_epoch     bigint  NOT NULL,
    planned_at      timestamptz NOT NULL,
    PRIMARY KEY (order_id, attempt)
);
CREATE TABLE fills (
    account_id        bigint  NOT NULL,
    symbol            text    NOT NULL,
    trade_id          text    NOT NULL,
    exchange_order_id text    NOT NULL,
    order_id          text,
    signal_id         uuid,
    position_id       bigint,
    side              text    NOT NULL,
    position_side     text    NOT NULL,
    price             numeric NOT NULL,
    quantity          numeric NOT NULL,
    commission        numeric NOT NULL,
    commission_asset  text    NOT NULL,
    fee               numeric NOT NULL,
    fee_rate          numeric NOT NULL,
    is_maker          boolean NOT NULL,
    traded_at         timestamptz NOT NULL,
    booked_at         timestamptz NOT NULL,
    PRIMARY KEY (account_id, symbol, trade_id, exchange_order_id)
);
CREATE INDEX fills_of_position ON fills (position_id) WHERE position_id IS NOT NULL;

SET LOCAL search_path TO DEFAULT;
