-- The screener: strategies, the list that stands, what was tried again because of it; and when sources are asked.

SET LOCAL search_path = pregao;

CREATE TABLE screener_strategies (
    strategy_id                    uuid PRIMARY KEY,
    created_at                     timestamptz NOT NULL,
    updated_at                     timestamptz NOT NULL,
    name                           text    NOT NULL,
    source                         text    NOT NULL,
    changed_at                     timestamptz NOT NULL,
    address                        text    NOT NULL,
    tickers                        jsonb   NOT NULL,
    description                    text    NOT NULL,
    top_n                          integer NOT NULL,
    refresh_seconds                integer NOT NULL,
    page_pause_seconds             integer NOT NULL,
    reprocess_enabled              boolean NOT NULL,
    reprocess_window_seconds       integer NOT NULL,
    respect_sell_chronology        boolean NOT NULL,
    sell_chronology_window_seconds integer NOT NULL,
    is_active                      boolean NOT NULL
);
CREATE UNIQUE INDEX screener_strategies_name ON screener_strategies (name);
CREATE UNIQUE INDEX screener_strategies_active ON screener_strategies (is_active) WHERE is_active;

CREATE TABLE screener_states (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    is_paused boolean NOT NULL,
    set_by    text    NOT NULL,
    set_at    timestamptz NOT NULL
);

CREATE TABLE screener_lists (
    only_one    boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    strategy_id uuid    NOT NULL,
    strategy    text    NOT NULL,
    size        integer NOT NULL,
    entered     integer NOT NULL,
    gone        integer NOT NULL,
    is_baseline boolean NOT NULL,
    listed_at   timestamptz NOT NULL
);

CREATE TABLE screener_tickers (
    ticker     text PRIMARY KEY,
    rank       integer NOT NULL,
    entered_at timestamptz NOT NULL
);

CREATE TABLE screener_reprocessed (
    signal_id      uuid NOT NULL,
    bot_id         uuid NOT NULL,
    ticker         text NOT NULL,
    outcome        text NOT NULL,
    again_as       uuid,
    reprocessed_at timestamptz NOT NULL,
    PRIMARY KEY (signal_id, reprocessed_at)
);
CREATE INDEX screener_reprocessed_latest ON screener_reprocessed (reprocessed_at);

-- When a source was asked and is asked next: a schedule of ours, by this server's clock. No state: it has no facts.
CREATE TABLE screener_looks (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    due_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    asked     bigint  NOT NULL DEFAULT 0,  -- how often somebody asked for a look
    answered  bigint  NOT NULL DEFAULT 0,  -- how many of these were made
    failures  integer NOT NULL DEFAULT 0,  -- in a row
    code      text    NOT NULL DEFAULT '',
    reason    text    NOT NULL DEFAULT '',
    good_at   timestamptz,
    failed_at timestamptz
);
INSERT INTO screener_looks DEFAULT VALUES;

CREATE TABLE screener_requests (
    name     text PRIMARY KEY,  -- the source, and the address we leave from
    asked_at timestamptz[] NOT NULL
);

-- What an entry is looked for by when its ticker enters.
CREATE INDEX signals_off_the_list ON signals (upper(symbol), received_at)
    WHERE status = 'declined' AND code = 'SCREENER_DECLINED';

CREATE VIEW public.finviz_tickers AS
SELECT rank AS id, ticker, entered_at AS added_at, true AS is_active FROM pregao.screener_tickers;

CREATE VIEW public.finviz_urls AS
SELECT strategy_id AS id, name, address AS url, description, top_n, refresh_seconds AS refresh_interval_sec,
       reprocess_enabled, reprocess_window_seconds, respect_sell_chronology AS respect_sell_chronology_enabled,
       sell_chronology_window_seconds, is_active, created_at, updated_at,
       (SELECT good_at FROM pregao.screener_looks WHERE is_active) AS last_used_at
FROM pregao.screener_strategies;

ALTER TABLE bots ADD policy text NOT NULL DEFAULT 'any';

SET LOCAL search_path TO DEFAULT;
