-- Bookkeeping of the traders, not the fold of facts: it is made anew by looking.
CREATE TABLE pregao.account_checks (
    account_id         bigint      PRIMARY KEY,
    due_at             timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when to compare it with its venue again
    checked_at         timestamptz,  -- when it was compared last
    agreed_at          timestamptz,  -- when nothing differed last
    unreconciled_since timestamptz,  -- its stream was taken over then, and what happened before is not known yet
    must_compare       boolean     NOT NULL DEFAULT false  -- known only once its positions were compared: we forgot some
);
CREATE INDEX account_checks_unreconciled ON pregao.account_checks (account_id) WHERE unreconciled_since IS NOT NULL;
