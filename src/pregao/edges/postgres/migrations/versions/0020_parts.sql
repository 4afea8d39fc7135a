-- A signal of many accounts is planned in parts: how far it is.
ALTER TABLE pregao.signals
    ADD parts            int NOT NULL DEFAULT 0,
    ADD first_account_id bigint,  -- where the round began
    ADD last_account_id  bigint;  -- where the next part goes on

-- What is approved and not planned whole waits to be planned, too.
DROP INDEX pregao.signals_to_decide;
CREATE INDEX signals_to_decide ON pregao.signals (received_at) WHERE status IN ('accepted', 'answered', 'approved');
