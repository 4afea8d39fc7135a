-- What may be traded: one row for each scope that somebody has ever halted, reduced or resumed.

SET LOCAL search_path = pregao;

CREATE TABLE trading_states (
    level          text    NOT NULL,
    subject        text    NOT NULL,  -- the id of the user, account or bot, venue:symbol, empty for the desk
    name           text    NOT NULL,
    state          text    NOT NULL,
    block_exits    boolean NOT NULL,
    reason         text    NOT NULL,
    version        bigint  NOT NULL,
    set_by         text    NOT NULL,
    user_id        uuid,
    is_by_staff    boolean NOT NULL,
    source_address text    NOT NULL,
    set_at         timestamptz NOT NULL,
    PRIMARY KEY (level, subject)
);
CREATE INDEX trading_states_version ON trading_states (version);
CREATE INDEX trading_states_standing ON trading_states (level, subject) WHERE state <> 'active';

-- Which version of them a trader has seen, with nothing on its way that they forbid.
ALTER TABLE workers ADD states_seen bigint NOT NULL DEFAULT 0;

-- One round trip: the lock that whoever changes a state waits for, and then, as they stand under it, the states.
CREATE FUNCTION lock_trading_states() RETURNS SETOF trading_states LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM pregao.desk FOR SHARE;
    RETURN QUERY SELECT * FROM pregao.trading_states WHERE state <> 'active';
END $$;

SET LOCAL search_path TO DEFAULT;
