-- An order at a venue that is no destination is no step of a signal: it costs no entry in the index of steps any more. What
-- a destination took is known by its number there, which is our own. View and index say the same, word for word: only then
-- does the planner take the index for the view.

DROP INDEX pregao.journal_events;
CREATE INDEX journal_events ON pregao.journal (happened_at, seq) INCLUDE (kind, signal_id)
    WHERE signal_id IS NOT NULL
      AND (kind IN ('SignalReceived', 'SignalAccepted', 'SignalRefused', 'DecisionPending', 'ApprovalAnswered', 'DecisionApproved',
                'DecisionDeclined', 'ForwardBegun', 'OrderRejected', 'OrderDenied')
       OR kind = 'OrderPlanned' AND fact ->> 'venue' = 'webhook'
       OR kind = 'OrderAccepted' AND fact ->> 'exchange_order_id' = fact ->> 'order_id');

CREATE OR REPLACE VIEW public.signal_events AS
SELECT j.seq AS event_id, j.signal_id, j.happened_at AS timestamp, told.status,
       coalesce(j.fact ->> 'reason', '') AS details, coalesce(j.fact ->> 'owner', j.worker) AS worker_id,
       pregao.signal_location(told.status) AS location, f.http_status, f.answer, j.kind
FROM pregao.journal AS j
LEFT JOIN pregao.orders AS o ON o.order_id = j.fact ->> 'order_id'
     AND j.kind IN ('OrderPlanned', 'OrderAccepted', 'OrderRejected', 'OrderDenied', 'ForwardBegun')
LEFT JOIN pregao.accounts AS a ON a.account_id = o.account_id AND a.venue = 'webhook'
LEFT JOIN pregao.forwards AS f ON a.account_id IS NOT NULL AND j.kind IN ('OrderAccepted', 'OrderRejected')
     AND f.order_id = o.order_id AND f.attempt = (j.fact ->> 'attempt')::integer
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN j.kind = 'SignalReceived' THEN 'received'
        WHEN j.kind IN ('SignalAccepted', 'DecisionPending', 'ApprovalAnswered') THEN 'processing'
        WHEN j.kind = 'DecisionApproved' THEN 'approved'
        WHEN j.kind IN ('SignalRefused', 'DecisionDeclined') THEN 'rejected'
        WHEN a.account_id IS NULL THEN NULL
        WHEN j.kind = 'OrderPlanned' AND j.fact ->> 'attempt' = '1' THEN 'queued_forwarding'
        WHEN j.kind = 'ForwardBegun' AND NOT EXISTS (
            SELECT FROM pregao.forwards AS before WHERE before.order_id = j.fact ->> 'order_id'
            AND before.attempt < (j.fact ->> 'attempt')::integer) THEN 'forwarding'
        WHEN j.kind = 'OrderAccepted' THEN 'forwarded_success'
        WHEN j.kind = 'OrderRejected' THEN pregao.forward_status('rejected', j.fact ->> 'code', 1, true)
        WHEN j.kind = 'OrderDenied' THEN pregao.forward_status('denied', j.fact ->> 'code', o.attempt, true)
    END AS status
) AS told
WHERE told.status IS NOT NULL AND j.signal_id IS NOT NULL
  AND (j.kind IN ('SignalReceived', 'SignalAccepted', 'SignalRefused', 'DecisionPending', 'ApprovalAnswered', 'DecisionApproved',
                'DecisionDeclined', 'ForwardBegun', 'OrderRejected', 'OrderDenied')
       OR j.kind = 'OrderPlanned' AND j.fact ->> 'venue' = 'webhook'
       OR j.kind = 'OrderAccepted' AND j.fact ->> 'exchange_order_id' = j.fact ->> 'order_id');
