-- A worker that was told to stop: when its lease runs out it is no worker that died.
ALTER TABLE pregao.workers ADD COLUMN stopping_since timestamptz;
