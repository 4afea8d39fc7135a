-- Strategies that feed bots, how far each has come, and the stops that travel with their signals.

SET LOCAL search_path = pregao;

ALTER TABLE bots ADD COLUMN takes_strategies boolean NOT NULL DEFAULT false;

-- What a strategy says of its stop and its target, percent from the entry; null: the settings say it.
ALTER TABLE signals ADD COLUMN stop_percent numeric, ADD COLUMN target_percent numeric;

CREATE TABLE deployments (
    deployment_id uuid PRIMARY KEY,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    bot_id        uuid    NOT NULL,
    strategy      text    NOT NULL,
    parameters    jsonb   NOT NULL,
    venue         text    NOT NULL,
    symbol        text    NOT NULL,
    timeframe     text    NOT NULL,
    status        text    NOT NULL,
    with_history  boolean NOT NULL,
    with_model    boolean NOT NULL,
    changed_by    text    NOT NULL
);
CREATE INDEX deployments_of_bot ON deployments (bot_id);

-- How far the analyzer has come with each. No state: it has no facts.
CREATE TABLE deployment_bars (
    deployment_id uuid PRIMARY KEY,
    began_at      timestamptz,                      -- the close of the first judged candle
    bar_at        timestamptz,                      -- of the last
    bars          bigint      NOT NULL DEFAULT 0,   -- judged
    wanted        text        NOT NULL DEFAULT '',  -- what the strategy wants since then
    code          text        NOT NULL DEFAULT '',
    reason        text        NOT NULL DEFAULT '',
    told_at       timestamptz NOT NULL
);

SET LOCAL search_path TO DEFAULT;
