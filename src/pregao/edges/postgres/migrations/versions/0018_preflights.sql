-- Bookkeeping of the traders, not the fold of facts: it is made anew by asking the venues.
CREATE TABLE pregao.preflights (
    account_id  bigint      PRIMARY KEY,
    due_at      timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when to look again
    asked_at    timestamptz,           -- somebody waits for it since then
    fixes       boolean     NOT NULL DEFAULT false,  -- and wants the position mode set
    checked_at  timestamptz,
    settings_of timestamptz,           -- how new the settings were that it was looked at with
    light       text,
    light_codes text[]      NOT NULL DEFAULT '{}'
);
CREATE INDEX preflights_due ON pregao.preflights (due_at);
CREATE TABLE pregao.preflight_checks (
    account_id      bigint      NOT NULL,
    name            text        NOT NULL,
    subscription_id uuid,                      -- null: the whole account
    symbol          text        NOT NULL,      -- empty: all
    place           integer     NOT NULL,      -- in the list
    result          text        NOT NULL,
    code            text        NOT NULL,
    numbers         jsonb       NOT NULL,
    remedy          text        NOT NULL,
    denies          boolean     NOT NULL,
    checked_at      timestamptz NOT NULL,
    since           timestamptz NOT NULL,      -- it has been so since
    UNIQUE NULLS NOT DISTINCT (account_id, name, subscription_id, symbol)
);
-- What of it denies entries, apart: every plan of an entry reads here, and a small table needs no statistics to be quick.
CREATE TABLE pregao.grounded (
    account_id      bigint NOT NULL,
    subscription_id uuid,            -- null: the whole account
    symbol          text   NOT NULL, -- empty: all
    place           integer NOT NULL,
    code            text   NOT NULL,
    reason          text   NOT NULL  -- numbers and remedy, as a denial says them
);
CREATE INDEX grounded_accounts ON pregao.grounded (account_id);
