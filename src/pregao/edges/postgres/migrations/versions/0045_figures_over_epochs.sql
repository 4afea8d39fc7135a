-- Figures go on over the end of an epoch: what of it was not counted for good when it ended is counted, too.
--
-- A restore puts back sums that end some seconds before the copy was made, and begins an epoch; the facts of those
-- seconds are of the one before. Nobody writes under an epoch that is over, so all there is of it counts: numbers of
-- transactions are compared within one epoch only, and those of another server say nothing here.

CREATE OR REPLACE FUNCTION pregao.current_tallies()
RETURNS TABLE (name text, labels text[], value numeric, changed_at timestamptz) LANGUAGE sql STABLE AS $$
SELECT both_parts.name, both_parts.labels, sum(both_parts.value), max(both_parts.changed_at)
FROM (
    SELECT t.name, t.labels, t.value, t.changed_at FROM pregao.tallies AS t
    UNION ALL
    SELECT c.name, c.labels, c.value, c.changed_at
    FROM pregao.desk AS d, pregao.tally_cursors AS k, generate_series(k.epoch, d.epoch) AS of_epoch,
         pregao.counted(of_epoch, CASE WHEN of_epoch = k.epoch THEN k.xid ELSE '0'::xid8 END, NULL) AS c
) AS both_parts
GROUP BY both_parts.name, both_parts.labels
$$;

-- Count some more of the journal for good; gives whether there is more. Whoever comes second leaves it to the first.
CREATE OR REPLACE FUNCTION pregao.roll_tallies(facts_max integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    since    xid8;
    before   xid8;  -- null: to the end of an epoch that is over
    cut      xid8;
    of_epoch integer;
    is_over  boolean;
BEGIN
    SELECT k.epoch, k.xid, k.epoch < d.epoch INTO of_epoch, since, is_over
    FROM pregao.tally_cursors AS k, pregao.desk AS d FOR UPDATE OF k SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF NOT is_over THEN
        before := pg_snapshot_xmin(pg_current_snapshot());  -- whoever may still write has this transaction or a later one
    END IF;
    SELECT j.xid INTO cut FROM pregao.journal AS j
    WHERE j.epoch = of_epoch AND j.xid >= since AND (before IS NULL OR j.xid < before)
    ORDER BY j.xid, j.seq OFFSET facts_max LIMIT 1;
    IF cut = since THEN  -- one transaction of very many facts
        SELECT min(j.xid) INTO cut FROM pregao.journal AS j
        WHERE j.epoch = of_epoch AND j.xid > since AND (before IS NULL OR j.xid < before);
    END IF;
    before := coalesce(cut, before);
    INSERT INTO pregao.tallies AS t (name, labels, value, changed_at)
    SELECT c.name, c.labels, c.value, c.changed_at FROM pregao.counted(of_epoch, since, before) AS c
    ORDER BY c.name, c.labels
    ON CONFLICT (name, labels) DO UPDATE
    SET value = t.value + excluded.value, changed_at = greatest(t.changed_at, excluded.changed_at);
    IF before IS NULL THEN
        UPDATE pregao.tally_cursors SET epoch = of_epoch + 1, xid = '0';
        RETURN true;
    END IF;
    UPDATE pregao.tally_cursors SET xid = before;
    RETURN cut IS NOT NULL;
END $$;
