-- Figures for Prometheus and for system A's `signal_metrics`.
--
-- What the journal tells is counted from it: up to a transaction for good, and what came since at each look. So no
-- writer waits for a row that all of them would change, nothing is counted twice or lost, and it survives a restart.

-- Sums so far, of the journal up to the cursor and of what processes told. A histogram has rows `_bucket` (the last
-- label is its upper bound), `_sum` and `_count`.
CREATE TABLE pregao.tallies (
    name       text    NOT NULL,
    labels     text[]  NOT NULL,
    value      numeric NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (name, labels)
);
-- Every fact of a transaction before this one is in the tallies.
CREATE TABLE pregao.tally_cursors (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    epoch    integer NOT NULL,
    xid      xid8    NOT NULL
);
INSERT INTO pregao.tally_cursors (epoch, xid) SELECT epoch, '0' FROM pregao.desk;

-- What a process measures just now, such as prices a second; forgotten when it says no more of it.
CREATE TABLE pregao.process_gauges (
    worker_id text    NOT NULL,
    name      text    NOT NULL,
    labels    text[]  NOT NULL,
    value     numeric NOT NULL,
    told_at   timestamptz NOT NULL,
    PRIMARY KEY (worker_id, name, labels)
);

-- Where each of system A's counters begins since somebody reset them. The fold of MetricsReset.
CREATE TABLE pregao.metric_zeros (
    metric_name text PRIMARY KEY,
    counted     bigint NOT NULL,
    set_by      text   NOT NULL,
    set_at      timestamptz NOT NULL
);

-- Which spans up to now a UTC day lies in.
CREATE FUNCTION pregao.timeframes_of(day date) RETURNS TABLE (timeframe text) LANGUAGE sql STABLE AS $$
SELECT span.timeframe
FROM (VALUES ('day', 1), ('week', 7), ('month', 30), ('all', NULL)) AS span (timeframe, days)
WHERE span.days IS NULL OR day > (now() AT TIME ZONE 'UTC')::date - span.days
$$;

CREATE FUNCTION pregao.bound_of(seconds numeric, bounds numeric[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT coalesce((SELECT min(bound) FROM unnest(bounds) AS bound WHERE seconds <= bound)::text, '+Inf')
$$;

-- What the facts of an epoch tell, from one transaction on and before another; null is up to now.
CREATE FUNCTION pregao.counted(of_epoch integer, since xid8, before xid8)
RETURNS TABLE (name text, labels text[], value numeric, changed_at timestamptz) LANGUAGE sql STABLE AS $$
WITH told AS MATERIALIZED (
    SELECT j.kind, j.fact, j.signal_id, j.recorded_at AS at, o.sent_at, s.received_at,
           coalesce(j.fact ->> 'venue', o.venue, a.venue, 'none') AS venue,
           (j.fact #>> '{trade,traded_at}')::timestamptz AS traded_at,
           coalesce((j.fact ->> 'order_is_filled')::boolean, false) AS is_filled
    FROM pregao.journal AS j
    LEFT JOIN pregao.orders AS o ON o.order_id = j.fact ->> 'order_id'
    LEFT JOIN pregao.accounts AS a ON a.account_id = coalesce(j.account_id, o.account_id)
    LEFT JOIN pregao.signals AS s ON s.signal_id = j.signal_id AND j.kind IN ('OrderAccepted', 'FillBooked')
    WHERE j.epoch = of_epoch AND j.xid >= since AND (before IS NULL OR j.xid < before)
      AND j.kind IN ('DeliveryTurnedAway', 'SignalReceived', 'SignalRepeated', 'SignalRefused', 'DecisionPending',
                     'DecisionApproved', 'DecisionDeclined', 'OrderPlanned', 'OrderDenied', 'OrderAccepted',
                     'OrderRejected', 'OrderUnresolved', 'OrderEnded', 'FillBooked', 'PositionChanged', 'StopArmed',
                     'StopRaised', 'StopTriggered', 'PositionUnguarded', 'PositionGuarded')
), closed AS (
    SELECT t.at, CASE p.direction WHEN 'long' THEN 'buy' ELSE 'sell' END AS signal_type, p.realized_pnl AS pnl,
           CASE WHEN p.leverage = 0 THEN 'unknown' WHEN p.realized_pnl > 0 THEN 'win'
                WHEN p.realized_pnl < 0 THEN 'loss' ELSE 'break_even' END AS outcome,
           extract(epoch FROM p.closed_at - p.opened_at) AS seconds
    FROM told AS t JOIN pregao.positions AS p ON p.position_id = (t.fact #>> '{position,position_id}')::bigint
    WHERE t.kind = 'PositionChanged' AND t.fact #>> '{position,status}' = 'closed'
), measured AS (
    SELECT 'pregao_signal_sent_seconds' AS name, ARRAY[venue] AS labels, at,
           extract(epoch FROM (fact ->> 'sent_at')::timestamptz - received_at) AS seconds,
           ARRAY[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] AS bounds
    FROM told WHERE kind = 'OrderAccepted' AND (fact ->> 'attempt')::int = 1
    UNION ALL
    SELECT 'pregao_order_filled_seconds', ARRAY[venue], at, extract(epoch FROM traded_at - sent_at),
           ARRAY[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
    FROM told WHERE kind = 'FillBooked' AND is_filled
    UNION ALL
    SELECT 'pregao_signal_filled_seconds', ARRAY[venue], at, extract(epoch FROM traded_at - received_at),
           ARRAY[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
    FROM told WHERE kind = 'FillBooked' AND is_filled
    UNION ALL
    SELECT 'deriv_bot_trade_duration_seconds', ARRAY[signal_type], at, seconds,
           ARRAY[60, 300, 900, 1800, 3600, 7200, 14400]
    FROM closed
), timed AS (
    -- Two clocks may differ by a little: nothing took less than no time.
    SELECT m.name, m.labels, m.at, m.bounds, greatest(m.seconds, 0) AS seconds FROM measured AS m
    WHERE m.seconds IS NOT NULL
)
SELECT 'pregao_signals_total',
       ARRAY[CASE kind WHEN 'DeliveryTurnedAway' THEN 'turned_away' WHEN 'SignalReceived' THEN 'received'
                       WHEN 'SignalRepeated' THEN 'repeated' WHEN 'SignalRefused' THEN 'refused'
                       WHEN 'DecisionPending' THEN 'pending' WHEN 'DecisionApproved' THEN 'approved'
                       ELSE 'declined' END] AS counted_labels, count(*)::numeric, max(at)
FROM told
WHERE kind IN ('DeliveryTurnedAway', 'SignalReceived', 'SignalRepeated', 'SignalRefused', 'DecisionPending',
               'DecisionApproved', 'DecisionDeclined')
GROUP BY counted_labels
UNION ALL
SELECT 'pregao_orders_total',
       ARRAY[venue, CASE WHEN kind = 'OrderPlanned' THEN 'planned'
                         WHEN kind = 'OrderDenied' AND fact ->> 'code' LIKE 'FORWARD\_%' THEN 'given_up'
                         WHEN kind = 'OrderDenied' THEN 'denied' WHEN kind = 'OrderAccepted' THEN 'accepted'
                         WHEN kind = 'OrderRejected' THEN 'rejected' WHEN kind = 'OrderUnresolved' THEN 'unresolved'
                         WHEN kind = 'FillBooked' THEN 'filled' ELSE fact ->> 'status' END] AS counted_labels,
       count(*)::numeric, max(at)
FROM told
WHERE kind IN ('OrderPlanned', 'OrderDenied', 'OrderAccepted', 'OrderRejected', 'OrderUnresolved', 'OrderEnded')
   OR kind = 'FillBooked' AND is_filled AND fact ->> 'order_id' IS NOT NULL
GROUP BY counted_labels
UNION ALL
SELECT 'pregao_stops_total',
       ARRAY[CASE kind WHEN 'StopArmed' THEN 'armed' WHEN 'StopRaised' THEN 'raised' ELSE 'triggered' END]
           AS counted_labels, count(*)::numeric, max(at)
FROM told WHERE kind IN ('StopArmed', 'StopRaised', 'StopTriggered') GROUP BY counted_labels
UNION ALL
SELECT 'pregao_unguarded_total', ARRAY[CASE kind WHEN 'PositionUnguarded' THEN 'begun' ELSE 'over' END]
           AS counted_labels, count(*)::numeric, max(at)
FROM told WHERE kind IN ('PositionUnguarded', 'PositionGuarded') GROUP BY counted_labels
UNION ALL
SELECT 'pregao_unguarded_seconds_total', '{}'::text[], sum((fact ->> 'seconds')::numeric), max(at)
FROM told WHERE kind = 'PositionGuarded' HAVING count(*) > 0
UNION ALL
SELECT 'deriv_bot_trades_total', ARRAY[signal_type, outcome], count(*)::numeric, max(at)
FROM closed GROUP BY signal_type, outcome
UNION ALL
SELECT 'deriv_bot_profit_loss_total', ARRAY[CASE WHEN pnl > 0 THEN 'profit' ELSE 'loss' END] AS counted_labels,
       sum(abs(pnl)), max(at)
FROM closed WHERE pnl <> 0 GROUP BY counted_labels
UNION ALL
SELECT t.name || '_bucket', t.labels || pregao.bound_of(t.seconds, t.bounds) AS counted_labels, count(*)::numeric,
       max(t.at)
FROM timed AS t GROUP BY t.name, counted_labels
UNION ALL
SELECT t.name || '_sum', t.labels, sum(t.seconds), max(t.at) FROM timed AS t GROUP BY t.name, t.labels
UNION ALL
SELECT t.name || '_count', t.labels, count(*)::numeric, max(t.at) FROM timed AS t GROUP BY t.name, t.labels
$$;

-- Everything counted, up to this very moment.
CREATE FUNCTION pregao.current_tallies()
RETURNS TABLE (name text, labels text[], value numeric, changed_at timestamptz) LANGUAGE sql STABLE AS $$
SELECT both_parts.name, both_parts.labels, sum(both_parts.value), max(both_parts.changed_at)
FROM (
    SELECT t.name, t.labels, t.value, t.changed_at FROM pregao.tallies AS t
    UNION ALL
    SELECT c.name, c.labels, c.value, c.changed_at
    FROM pregao.desk AS d, pregao.tally_cursors AS k,
         pregao.counted(d.epoch, CASE WHEN k.epoch = d.epoch THEN k.xid ELSE '0'::xid8 END, NULL) AS c
) AS both_parts
GROUP BY both_parts.name, both_parts.labels
$$;

-- Count some more of the journal for good; gives whether there is more. Whoever comes second leaves it to the first.
CREATE FUNCTION pregao.roll_tallies(facts_max integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    since    xid8;
    before   xid8;
    cut      xid8;
    of_epoch integer;
BEGIN
    SELECT d.epoch, CASE WHEN k.epoch = d.epoch THEN k.xid ELSE '0'::xid8 END INTO of_epoch, since
    FROM pregao.tally_cursors AS k, pregao.desk AS d FOR UPDATE OF k SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    before := pg_snapshot_xmin(pg_current_snapshot());  -- whoever may still write has this transaction or a later one
    SELECT j.xid INTO cut FROM pregao.journal AS j
    WHERE j.epoch = of_epoch AND j.xid >= since AND j.xid < before ORDER BY j.xid, j.seq OFFSET facts_max LIMIT 1;
    IF cut = since THEN  -- one transaction of very many facts
        SELECT min(j.xid) INTO cut FROM pregao.journal AS j
        WHERE j.epoch = of_epoch AND j.xid > since AND j.xid < before;
    END IF;
    before := coalesce(cut, before);
    INSERT INTO pregao.tallies AS t (name, labels, value, changed_at)
    SELECT c.name, c.labels, c.value, c.changed_at FROM pregao.counted(of_epoch, since, before) AS c
    ORDER BY c.name, c.labels
    ON CONFLICT (name, labels) DO UPDATE
    SET value = t.value + excluded.value, changed_at = greatest(t.changed_at, excluded.changed_at);
    UPDATE pregao.tally_cursors SET epoch = of_epoch, xid = before;
    RETURN cut IS NOT NULL;
END $$;

-- System A's counters, since they were last reset, and what it calls its workers and tokens.
DROP VIEW public.signal_metrics;
CREATE VIEW public.signal_metrics AS
WITH counters AS (
    SELECT m.metric_name, coalesce(sum(t.value), 0)::bigint AS counted, max(t.changed_at) AS changed_at
    FROM (VALUES ('signals_received', 'pregao_signals_total', 'received'),
                 ('signals_approved', 'pregao_signals_total', 'approved'),
                 ('signals_rejected', 'pregao_signals_total', 'refused'),
                 ('signals_rejected', 'pregao_signals_total', 'declined'),
                 ('signals_forwarded_success', 'pregao_orders_total', 'filled'),
                 ('signals_forwarded_error', 'pregao_orders_total', 'rejected'),
                 ('signals_forwarded_error', 'pregao_orders_total', 'given_up')) AS m (metric_name, figure, outcome)
    LEFT JOIN pregao.current_tallies() AS t ON t.name = m.figure AND t.labels[cardinality(t.labels)] = m.outcome
    GROUP BY m.metric_name
), allowed AS (
    SELECT coalesce((SELECT max_per_minute FROM pregao.forward_limits), 60) AS max_per_minute
), slots AS (
    SELECT coalesce(max(f.taken), 0) AS taken, coalesce(sum(f.limited), 0) AS limited
    FROM (SELECT s.limited, (SELECT count(*) FROM unnest(s.taken_at) AS at
                             WHERE at > clock_timestamp() - interval '1 minute') AS taken
          FROM pregao.forward_slots AS s) AS f
), workers AS (
    SELECT count(*) AS alive FROM pregao.workers WHERE role = 'trader' AND lease_until > clock_timestamp()
), told AS (
    SELECT c.metric_name, greatest(c.counted - coalesce(z.counted, 0), 0) AS metric_value,
           greatest(c.changed_at, z.set_at) AS last_updated
    FROM counters AS c LEFT JOIN pregao.metric_zeros AS z USING (metric_name)
    UNION ALL SELECT 'processing_workers_active', alive, NULL FROM workers
    UNION ALL SELECT 'forwarding_workers_active', alive, NULL FROM workers
    UNION ALL SELECT 'webhook_tokens_available', greatest(max_per_minute - taken, 0), NULL FROM allowed, slots
    UNION ALL SELECT 'webhook_requests_this_minute', taken, NULL FROM slots
    UNION ALL SELECT 'webhook_total_requests_limited', limited::bigint, NULL FROM slots
)
SELECT row_number() OVER (ORDER BY metric_name) AS id, metric_name, metric_value,
       coalesce(last_updated, now()) AS last_updated
FROM told;
