-- A bot's entries may depend on a model; JSON null, as the fold writes it, is no such rule.
ALTER TABLE pregao.bots ADD model_filter jsonb NOT NULL DEFAULT 'null';

-- The last word of each model on each symbol. Not the journal's: what a decision saw stands in its verdict.
CREATE TABLE pregao.predictions (
    model text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    model_id text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('PRICE_UP', 'PRICE_DOWN', 'NO_MOVE')),
    confidence numeric NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    bar_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, symbol)
);
