-- How many forwards each destination is sent in a minute, and those of the last minute.

SET LOCAL search_path = pregao;

CREATE TABLE forward_limits (
    only_one       boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    max_per_minute integer NOT NULL,
    is_enabled     boolean NOT NULL,
    set_by         text    NOT NULL,
    set_at         timestamptz NOT NULL
);

-- Slots of the last minute by this server's clock. No state: it has no facts.
CREATE TABLE forward_slots (
    account_id bigint PRIMARY KEY,  -- whose destination
    taken_at   timestamptz[] NOT NULL DEFAULT '{}',
    limited    bigint        NOT NULL DEFAULT 0,  -- forwards that had to wait, ever
    freed_at   timestamptz                        -- when a slot last came free
);

SET LOCAL search_path TO DEFAULT;
