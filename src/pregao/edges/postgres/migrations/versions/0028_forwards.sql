-- Accounts at somebody else's webhook, each post to one, and which worker wrote a fact.

SET LOCAL search_path = pregao;

ALTER TABLE accounts ADD COLUMN destination jsonb NOT NULL DEFAULT 'null';

-- One post of one order to its destination. A row is there before anything leaves.
CREATE TABLE forwards (
    order_id    text    NOT NULL,
    attempt     integer NOT NULL,
    signal_id   uuid    NOT NULL,
    account_id  bigint  NOT NULL,
    owner       text,
    lease_epoch bigint,
    begun_at    timestamptz,
    answered_at timestamptz,
    http_status integer,  -- null: no answer, or none that could be read
    answer      text,     -- how it begins
    PRIMARY KEY (order_id, attempt)
);
CREATE INDEX forwards_of_signal ON forwards (signal_id);

-- Each connection says who it is: what it writes bears that name.
ALTER TABLE journal ADD COLUMN worker text;
ALTER TABLE journal ALTER COLUMN worker SET DEFAULT current_setting('application_name');

SET LOCAL search_path TO DEFAULT;

-- How a forward stands, in the words of the source: no order ever goes back in their sequence.
CREATE FUNCTION pregao.forward_status(status text, code text, attempt integer, has_left boolean)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN status IN ('accepted', 'partially_filled', 'filled') THEN 'forwarded_success'
        WHEN status = 'denied' AND attempt = 0 THEN 'rejected'
        WHEN status IN ('rejected', 'denied', 'canceled', 'expired') THEN
            CASE code WHEN 'FORWARD_HTTP_ERROR' THEN 'forwarded_http_error' WHEN 'FORWARD_TIMEOUT' THEN 'forwarded_timeout'
                      ELSE 'forwarded_generic_error' END
        WHEN status = 'deferred' THEN 'approved'
        WHEN has_left THEN 'forwarding'
        ELSE 'queued_forwarding' END
$$;

CREATE FUNCTION pregao.signal_location(status text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE status WHEN 'received' THEN 'processing_queue' WHEN 'processing' THEN 'worker_processing'
                       WHEN 'approved' THEN 'approved_queue' WHEN 'queued_forwarding' THEN 'approved_queue'
                       WHEN 'forwarding' THEN 'worker_forwarding' WHEN 'rejected' THEN 'discarded'
                       WHEN 'discarded' THEN 'discarded' WHEN 'error' THEN 'discarded' ELSE 'completed' END
$$;

CREATE OR REPLACE VIEW public.signals AS
SELECT s.signal_id, s.symbol AS ticker, s.symbol AS normalised_ticker, s.side, s.price, now_at.status,
       CASE WHEN s.action = 'close' THEN 'position_close' WHEN s.action = 'close_all' THEN 'sell_all'
            ELSE s.side END AS signal_type,
       s.received_at AS created_at,
       greatest(coalesce(s.settled_at, s.planned_at, s.decided_at, s.answered_at, s.approval_asked_at, s.read_at, s.received_at),
                forwarded.at) AS updated_at,
       pregao.body_as_json(s.body) AS original_signal,
       (extract(epoch FROM coalesce(s.settled_at, s.planned_at, s.decided_at, s.read_at) - s.received_at) * 1000)::integer
           AS processing_time_ms,
       coalesce(s.reason, forwarded.reason) AS error_message, s.deliveries - 1 AS retry_count,
       pregao.signal_location(now_at.status) AS location, forwarded.http_status, forwarded.answer
FROM pregao.signals AS s
LEFT JOIN LATERAL (
    -- Of several destinations the one that is not done yet, else the one that was done last.
    SELECT pregao.forward_status(o.status, o.code, o.attempt, f.has_left) AS status, o.reason, f.http_status, f.answer,
           greatest(o.updated_at, f.at) AS at
    FROM pregao.orders AS o JOIN pregao.accounts AS a USING (account_id)
    LEFT JOIN LATERAL (
        SELECT true AS has_left, http_status, answer, coalesce(answered_at, begun_at) AS at FROM pregao.forwards
        WHERE order_id = o.order_id ORDER BY attempt DESC LIMIT 1) AS f ON true
    WHERE o.signal_id = s.signal_id AND a.venue = 'webhook'
    ORDER BY o.status IN ('filled', 'rejected', 'denied', 'canceled', 'expired'), o.updated_at DESC, o.order_id LIMIT 1
) AS forwarded ON s.status IN ('approved', 'planned', 'settled')
CROSS JOIN LATERAL (
    SELECT coalesce(forwarded.status,
                    CASE s.status WHEN 'accepted' THEN 'processing' WHEN 'pending' THEN 'processing'
                                  WHEN 'answered' THEN 'processing' WHEN 'refused' THEN 'rejected'
                                  WHEN 'declined' THEN 'rejected' WHEN 'planned' THEN 'approved'
                                  WHEN 'settled' THEN 'approved' ELSE s.status END) AS status
) AS now_at;

-- What changes a signal's status, in the order it was written, with the worker that wrote it.
CREATE OR REPLACE VIEW public.signal_events AS
SELECT j.seq AS event_id, j.signal_id, j.happened_at AS timestamp, told.status,
       coalesce(j.fact ->> 'reason', '') AS details, coalesce(j.fact ->> 'owner', j.worker) AS worker_id,
       pregao.signal_location(told.status) AS location, f.http_status, f.answer
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
        WHEN j.kind = 'ForwardBegun' AND j.fact ->> 'attempt' = '1' THEN 'forwarding'
        WHEN j.kind = 'OrderAccepted' THEN 'forwarded_success'
        WHEN j.kind = 'OrderRejected' THEN pregao.forward_status('rejected', j.fact ->> 'code', 1, true)
        WHEN j.kind = 'OrderDenied' THEN pregao.forward_status('denied', j.fact ->> 'code', o.attempt, true)
    END AS status
) AS told
WHERE j.signal_id IS NOT NULL AND told.status IS NOT NULL;

CREATE OR REPLACE VIEW public.exchange_accounts AS
SELECT a.account_id AS id, a.name,
       CASE WHEN a.venue IN ('paper', 'webhook') THEN a.venue ELSE 'binance' END AS exchange,
       a.venue <> 'binance' AS testnet, a.is_active, a.position_mode, a.created_at, a.updated_at,
       a.user_id, a.is_main
FROM pregao.accounts AS a;
