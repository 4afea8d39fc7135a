-- Signals that are put to a person: pending until somebody answers or their time is over, then answered until settled.

ALTER TABLE pregao.signals
    ADD approval_asked_at   timestamptz,
    ADD approval_venue      text,         -- where most of the bot's accounts trade: its price is compared
    ADD approval_price      numeric,      -- as it was then
    ADD approval_expires_at timestamptz,
    ADD answered_at         timestamptz,
    ADD answered_by         text,
    ADD is_approved         boolean,
    ADD answer_reason       text;

DROP INDEX pregao.signals_to_decide;
CREATE INDEX signals_to_decide ON pregao.signals (received_at) WHERE status IN ('accepted', 'answered');
CREATE INDEX signals_pending ON pregao.signals (approval_expires_at) WHERE status = 'pending';

CREATE OR REPLACE VIEW public.signals AS
SELECT signal_id, symbol AS ticker, symbol AS normalised_ticker, side, price,
       CASE status WHEN 'accepted' THEN 'processing' WHEN 'pending' THEN 'processing' WHEN 'answered' THEN 'processing'
                   WHEN 'refused' THEN 'rejected' WHEN 'declined' THEN 'rejected'
                   WHEN 'planned' THEN 'approved' WHEN 'settled' THEN 'approved' ELSE status END AS status,
       CASE WHEN action = 'close' THEN 'position_close' WHEN action = 'close_all' THEN 'sell_all'
            ELSE side END AS signal_type,
       received_at AS created_at,
       coalesce(settled_at, planned_at, decided_at, answered_at, approval_asked_at, read_at, received_at) AS updated_at,
       pregao.body_as_json(body) AS original_signal,
       (extract(epoch FROM coalesce(settled_at, planned_at, decided_at, read_at) - received_at) * 1000)::integer
           AS processing_time_ms,
       reason AS error_message, deliveries - 1 AS retry_count
FROM pregao.signals;

CREATE OR REPLACE VIEW public.signal_events AS
SELECT seq AS event_id, signal_id, happened_at AS timestamp,
       CASE kind WHEN 'SignalReceived' THEN 'received' WHEN 'SignalAccepted' THEN 'processing'
                 WHEN 'DecisionPending' THEN 'processing' WHEN 'ApprovalAnswered' THEN 'processing'
                 WHEN 'SignalRefused' THEN 'rejected' WHEN 'DecisionApproved' THEN 'approved'
                 WHEN 'DecisionDeclined' THEN 'rejected' ELSE kind END AS status,
       coalesce(fact ->> 'reason', '') AS details, fact ->> 'owner' AS worker_id
FROM pregao.journal
WHERE signal_id IS NOT NULL;
