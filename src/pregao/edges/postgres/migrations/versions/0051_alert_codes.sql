-- A page says in its own language what an alert has a code for; those raised before have none, and are shown as they were told.

ALTER TABLE pregao.alerts
    ADD COLUMN code  text NOT NULL DEFAULT '',
    ADD COLUMN about text NOT NULL DEFAULT '';
