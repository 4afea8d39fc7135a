ALTER TABLE pregao.account_checks
    ADD COLUMN restored_at timestamptz,  -- when it was found last that the database had been put back
    ADD COLUMN is_unsure   boolean NOT NULL DEFAULT false;  -- what has traded since is not told yet: exits wait, too
CREATE INDEX account_checks_restored ON pregao.account_checks (account_id) WHERE restored_at IS NOT NULL;
