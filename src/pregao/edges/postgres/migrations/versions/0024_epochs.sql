-- The epoch is its column's default: nobody who writes names one, so nobody writes under one that is over.
DO $$
BEGIN
    EXECUTE format('ALTER TABLE pregao.journal ALTER epoch SET DEFAULT %s', (SELECT epoch FROM pregao.desk));
END $$;

-- Waits for everybody who is writing, and gives the epoch that all write under from the commit on.
CREATE FUNCTION pregao.begin_epoch() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    begun integer;
BEGIN
    UPDATE pregao.desk SET epoch = epoch + 1 RETURNING epoch INTO begun;  -- first, as whoever plans does
    EXECUTE format('ALTER TABLE pregao.journal ALTER epoch SET DEFAULT %s', begun);
    RETURN begun;
END $$;
