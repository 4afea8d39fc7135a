-- How long what is over is remembered, what is wrong with the desk as a whole, and what is remembered for a while.

SET LOCAL search_path = pregao;

CREATE TABLE retentions (
    only_one     boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    signal_days  integer NOT NULL,
    metrics_days integer NOT NULL,
    set_by       text    NOT NULL,
    set_at       timestamptz NOT NULL
);

CREATE TABLE health_alarms (
    name     text PRIMARY KEY,
    severity text  NOT NULL,
    numbers  jsonb NOT NULL,
    since    timestamptz NOT NULL
);

-- No state: what stands here may be lost at any time. By this server's clock.
CREATE TABLE cache_entries (
    cache_key   varchar(255) PRIMARY KEY,
    cache_value jsonb       NOT NULL,
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX cache_entries_expired ON cache_entries (expires_at);
CREATE VIEW public.cache_entries AS SELECT cache_key, cache_value, expires_at, created_at FROM pregao.cache_entries;

SET LOCAL search_path TO DEFAULT;
