-- What every process should know of a venue that is down. No part of the journal: it is true for minutes, and each
-- process goes by its own memory. Whoever opened or closed a breaker last has the word.

SET LOCAL search_path = pregao;

CREATE SEQUENCE breaker_versions AS bigint;
CREATE TABLE breakers (
    scope           text        NOT NULL,
    name            text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    failure_count   integer     NOT NULL,
    success_count   integer     NOT NULL,
    half_open_calls integer     NOT NULL,
    last_failure_at timestamptz,
    retry_at        timestamptz,  -- when a call may try; by this server's clock
    version         bigint      NOT NULL DEFAULT nextval('breaker_versions'),
    told_by         text        NOT NULL,
    changed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),  -- of the state
    PRIMARY KEY (scope, name)
);

SET LOCAL search_path TO DEFAULT;
