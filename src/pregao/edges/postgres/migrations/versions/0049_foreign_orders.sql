-- Orders that rest at venues and are not ours: what a look found, and who had which of them taken back.

-- What somebody asked to take back, and what became of it.
CREATE TABLE pregao.foreign_cancels (
    cancel_id         uuid PRIMARY KEY,
    account_id        bigint NOT NULL,
    symbol            text   NOT NULL,
    exchange_order_id text   NOT NULL,
    seen              jsonb  NOT NULL,
    reason            text   NOT NULL,
    asked_by          text   NOT NULL,
    user_id           uuid,
    source_address    text   NOT NULL,
    asked_at          timestamptz NOT NULL,
    status            text   NOT NULL,
    code              text,
    told_reason       text,
    filled_quantity   numeric,
    told_at           timestamptz
);
CREATE UNIQUE INDEX foreign_cancels_untold ON pregao.foreign_cancels (account_id, symbol, exchange_order_id)
    WHERE status IN ('asked', 'unknown');

CREATE INDEX foreign_cancels_of_order ON pregao.foreign_cancels (account_id, symbol, exchange_order_id);

-- When each account was looked at, and when it is looked at next. Not the journal's, as pre-flight is not.
CREATE TABLE pregao.foreign_looks (
    account_id bigint PRIMARY KEY,
    asked_at   timestamptz,
    due_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    looked_at  timestamptz,
    code       text,
    reason     text
);

-- What the last look found.
CREATE TABLE pregao.foreign_orders (
    account_id        bigint  NOT NULL,
    symbol            text    NOT NULL,
    exchange_order_id text    NOT NULL,
    client_order_id   text    NOT NULL,
    side              text    NOT NULL,
    position_side     text    NOT NULL,
    kind              text    NOT NULL,
    price             numeric,
    quantity          numeric NOT NULL,
    filled_quantity   numeric NOT NULL,
    reduce_only       boolean NOT NULL,
    status            text    NOT NULL,
    created_at        timestamptz NOT NULL,
    seen_at           timestamptz NOT NULL,
    PRIMARY KEY (account_id, symbol, exchange_order_id)
);
