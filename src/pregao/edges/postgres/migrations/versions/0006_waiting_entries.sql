-- Orders that wait for another of their position, and what an account holds beside the desk's own.

ALTER TABLE pregao.orders ADD share numeric;  -- of an exit that waits: the part to close, null is all
CREATE INDEX orders_waiting ON pregao.orders (position_id) WHERE status = 'deferred';

ALTER TABLE pregao.fills ADD foreign_quantity numeric NOT NULL DEFAULT 0;  -- what of it is not the position's

CREATE TABLE pregao.foreign_positions (
    account_id    bigint  NOT NULL,
    symbol        text    NOT NULL,
    position_side text    NOT NULL,
    quantity      numeric NOT NULL,  -- signed, the venue's minus ours
    seen_at       timestamptz NOT NULL,
    PRIMARY KEY (account_id, symbol, position_side)
);
