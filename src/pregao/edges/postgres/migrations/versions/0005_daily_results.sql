-- What each subscription earned and lost, day by day and symbol by symbol: the sums of its closed positions.

SET LOCAL search_path = pregao;

CREATE TABLE daily_results (
    subscription_id  uuid    NOT NULL,
    day              date    NOT NULL,  -- the UTC day the positions closed on
    symbol           text    NOT NULL,
    bot_id           uuid    NOT NULL,
    account_id       bigint  NOT NULL,
    closed           integer NOT NULL DEFAULT 0,  -- positions; wins and losses of them, 0 is neither
    wins             integer NOT NULL DEFAULT 0,
    losses           integer NOT NULL DEFAULT 0,
    pnl_usd          numeric NOT NULL DEFAULT 0,
    gross_pnl_usd    numeric NOT NULL DEFAULT 0,  -- before fees
    fees_usd         numeric NOT NULL DEFAULT 0,
    loss_usd         numeric NOT NULL DEFAULT 0,  -- of the losing ones only, positive
    notional_usd     numeric NOT NULL DEFAULT 0,  -- what the entries cost
    forgiven_usd     numeric NOT NULL DEFAULT 0,  -- of the loss, by an operator
    counted_loss_usd numeric NOT NULL GENERATED ALWAYS AS (greatest(loss_usd - forgiven_usd, 0)) STORED,
    PRIMARY KEY (subscription_id, day, symbol)
);
-- What limits read: today's losses of a bot, of a bot on a symbol, of an account.
CREATE INDEX daily_results_of_bot ON daily_results (bot_id, day, symbol);
CREATE INDEX daily_results_of_account ON daily_results (account_id, day);

CREATE INDEX positions_closed ON positions (subscription_id, closed_at) WHERE status = 'closed';

INSERT INTO daily_results (subscription_id, day, symbol, bot_id, account_id, closed, wins, losses, pnl_usd, gross_pnl_usd,
                           fees_usd, loss_usd, notional_usd)
SELECT subscription_id, (closed_at AT TIME ZONE 'UTC')::date, symbol, bot_id, account_id, count(*),
       count(*) FILTER (WHERE realized_pnl > 0), count(*) FILTER (WHERE realized_pnl < 0), sum(realized_pnl),
       sum(CASE direction WHEN 'long' THEN exit_notional - entry_notional ELSE entry_notional - exit_notional END),
       sum(fees), sum(greatest(-realized_pnl, 0)), sum(entry_notional)
FROM positions
WHERE status = 'closed'
GROUP BY 1, 2, 3, 4, 5;

SET LOCAL search_path TO DEFAULT;
