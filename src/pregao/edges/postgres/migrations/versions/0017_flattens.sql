-- Jobs that close all that is held at one scope, and what they found on each account.

SET LOCAL search_path = pregao;

CREATE TABLE flattens (
    flatten_id     uuid PRIMARY KEY,
    level          text    NOT NULL,
    subject        text    NOT NULL,
    name           text    NOT NULL,
    keep_trading   boolean NOT NULL,
    reason         text    NOT NULL,
    asked_by       text    NOT NULL,
    user_id        uuid,
    is_by_staff    boolean NOT NULL,
    source_address text    NOT NULL,
    started_at     timestamptz NOT NULL,
    status         text    NOT NULL,
    ended_at       timestamptz,
    ended_by       text,
    end_reason     text
);
CREATE UNIQUE INDEX flattens_running ON flattens (level, subject) WHERE ended_at IS NULL;

CREATE TABLE flatten_accounts (
    flatten_id   uuid    NOT NULL,
    account_id   bigint  NOT NULL,
    proved_at    timestamptz,
    code         text    NOT NULL,
    reason       text    NOT NULL,
    closed       jsonb   NOT NULL,
    attempts     integer NOT NULL,
    foreign_held jsonb   NOT NULL,
    seen_at      timestamptz NOT NULL,
    PRIMARY KEY (flatten_id, account_id)
);

SET LOCAL search_path TO DEFAULT;
