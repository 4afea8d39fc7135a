CREATE TABLE pregao.lab_runs (
    run_id    uuid PRIMARY KEY,
    kind      text        NOT NULL,
    symbol    text        NOT NULL,
    timeframe text        NOT NULL,
    request   jsonb       NOT NULL,
    user_id   uuid,
    asked_by  text        NOT NULL,
    asked_at  timestamptz NOT NULL,
    status    text        NOT NULL DEFAULT 'waiting',
    ended_at  timestamptz,
    code      text,
    reason    text,
    figures   jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX lab_runs_waiting ON pregao.lab_runs (asked_at, run_id) WHERE ended_at IS NULL;
CREATE INDEX lab_runs_newest ON pregao.lab_runs (asked_at, run_id);

-- How far the lab is with a run; no fold.
CREATE TABLE pregao.lab_work (
    run_id     uuid PRIMARY KEY,
    worker_id  text        NOT NULL,
    done       int         NOT NULL DEFAULT 0,
    total      int         NOT NULL DEFAULT 0,
    starts     int         NOT NULL DEFAULT 1,
    started_at timestamptz NOT NULL,
    seconds    double precision
);

-- Curves, months, trades and tables of a run that is done; no fold: it can be computed again.
CREATE TABLE pregao.lab_results (
    run_id uuid PRIMARY KEY,
    result jsonb NOT NULL
);

-- What is asked and answered at once, and forgotten a minute later; no fold.
CREATE TABLE pregao.lab_questions (
    question_id uuid PRIMARY KEY,
    topic       text        NOT NULL,
    question    jsonb       NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    answered_at timestamptz,
    answer      jsonb,
    code        text,
    reason      text
);
CREATE INDEX lab_questions_waiting ON pregao.lab_questions (asked_at) WHERE answered_at IS NULL;
