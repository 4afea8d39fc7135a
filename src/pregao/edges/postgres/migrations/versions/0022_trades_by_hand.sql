-- Trades that people ask for themselves, sized by what their stops may cost; and what a month's loss is measured by.

SET LOCAL search_path = pregao;

CREATE TABLE trades_by_hand (
    signal_id       uuid PRIMARY KEY,
    asked_at        timestamptz NOT NULL,
    subscription_id uuid    NOT NULL,
    symbol          text    NOT NULL,
    side            text    NOT NULL,
    capital         numeric NOT NULL,
    risk_percent    numeric NOT NULL,
    stop_price      numeric NOT NULL,
    target_price    numeric,
    strategy        text    NOT NULL
);

ALTER TABLE users ADD COLUMN risk_capital_usd numeric, ADD COLUMN monthly_drawdown_pct numeric NOT NULL DEFAULT 4;

SET LOCAL search_path TO DEFAULT;
