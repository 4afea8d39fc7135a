-- An attempt that never left is no post: a forward is under way from the first that did.
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
  AND j.kind IN ('SignalReceived', 'SignalAccepted', 'SignalRefused', 'DecisionPending', 'ApprovalAnswered',
                 'DecisionApproved', 'DecisionDeclined', 'OrderPlanned', 'ForwardBegun', 'OrderAccepted',
                 'OrderRejected', 'OrderDenied');
