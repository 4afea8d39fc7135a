-- What the jobs look after: when declined entries were tried again, and how that went; by this server's clock, no state.

SET LOCAL search_path = pregao;

CREATE TABLE screener_runs (
    run_at      timestamptz PRIMARY KEY DEFAULT clock_timestamp(),
    found       integer NOT NULL,
    again       integer NOT NULL,
    skipped     integer NOT NULL,
    failed      integer NOT NULL,
    duration_ms integer NOT NULL,
    code        text    NOT NULL DEFAULT ''
);

SET LOCAL search_path TO DEFAULT;
