-- For how many days alerts are remembered.
ALTER TABLE pregao.retentions ADD COLUMN alert_days integer NOT NULL DEFAULT 90;
ALTER TABLE pregao.retentions ALTER COLUMN alert_days DROP DEFAULT;
