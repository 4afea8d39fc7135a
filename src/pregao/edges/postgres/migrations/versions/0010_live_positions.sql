-- A position lives until it has an end. Its status changes three times and stands in no index any more, so PostgreSQL
-- writes the new version of the row beside the old one and touches no index (a heap-only tuple); pages leave room for it.

SET LOCAL search_path = pregao;

ALTER TABLE positions
    SET (fillfactor = 50),
    ADD CONSTRAINT positions_live_have_no_end
        CHECK ((closed_at IS NULL) = (status IN ('pending', 'open', 'closing')));

DROP INDEX positions_live, positions_live_of_bot, positions_closed;
CREATE UNIQUE INDEX positions_live ON positions (account_id, symbol, position_side) WHERE closed_at IS NULL;
CREATE INDEX positions_live_of_bot ON positions (bot_id) WHERE closed_at IS NULL;
CREATE INDEX positions_closed ON positions (subscription_id, closed_at) WHERE closed_at IS NOT NULL;

SET LOCAL search_path TO DEFAULT;
