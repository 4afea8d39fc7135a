-- What happened to signals, step by step, as it is looked at and taken away; and what was brought in from elsewhere.

SET LOCAL search_path = pregao;

-- Numbered downwards, so that no number is an event's of the journal.
CREATE TABLE imported_events (
    number      bigint PRIMARY KEY CHECK (number < 0),
    happened_at timestamptz NOT NULL,
    signal_id   uuid        NOT NULL,
    ticker      text,
    signal_type text,
    status      text        NOT NULL,
    location    text,
    worker_id   text,
    details     text        NOT NULL,
    http_status integer,
    imported_by text        NOT NULL,
    imported_at timestamptz NOT NULL
);
CREATE INDEX imported_events_by_time ON imported_events (happened_at, number);
CREATE INDEX imported_events_of_signal ON imported_events (signal_id);

-- The kinds are those of the view below: only then does the planner take the index for it. Rows come in the order of
-- time, so that each goes to the last page; which ones are on a page of a list the index says alone.
CREATE INDEX journal_events ON journal (happened_at, seq) INCLUDE (kind, signal_id)
    WHERE signal_id IS NOT NULL
      AND kind IN ('SignalReceived', 'SignalAccepted', 'SignalRefused', 'DecisionPending', 'ApprovalAnswered',
                   'DecisionApproved', 'DecisionDeclined', 'OrderPlanned', 'ForwardBegun', 'OrderAccepted',
                   'OrderRejected', 'OrderDenied');

-- What a signal is in the source's words: as the view `signals` says it, without what else that view looks up.
CREATE FUNCTION signal_type_of(action text, side text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT CASE action WHEN 'close' THEN 'position_close' WHEN 'close_all' THEN 'sell_all' ELSE side END
$$;

-- What kind of thing somebody asked for, by the path he asked it at.
CREATE FUNCTION action_type_of(path text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT CASE
    WHEN path LIKE '%/import' OR path LIKE '%/import-csv' THEN 'file_import'
    WHEN path LIKE '%/strategies%' THEN 'url_management'
    WHEN path LIKE '%/reset-daily-loss' OR path LIKE '%/reprocess%' THEN 'manual_override'
    WHEN path LIKE '/finviz/%' THEN 'config_update'
    WHEN path LIKE '/admin/%' THEN
        CASE WHEN split_part(path, '/', 3) IN ('finviz', 'system') THEN 'config_update'
             WHEN split_part(path, '/', 3) = 'engine' THEN 'engine_control'
             WHEN split_part(path, '/', 3) = 'webhook' THEN 'url_management'
             WHEN split_part(path, '/', 3) = 'webhook-rate-limiter' THEN 'rate_limiter_control'
             WHEN split_part(path, '/', 3) = 'metrics' THEN 'metrics_reset'
             WHEN split_part(path, '/', 3) IN ('clear-database', 'database', 'export-csv') THEN 'database_operation'
             WHEN split_part(path, '/', 3) IN ('order', 'orders', 'sell-all', 'sell-all-queue') THEN 'order_management'
             ELSE 'system_maintenance' END
    ELSE
        CASE CASE WHEN path LIKE '/api/v1/admin/%' THEN split_part(path, '/', 5)
                  WHEN path LIKE '/api/v1/%' OR path LIKE '/api/admin/%' THEN split_part(path, '/', 4)
                  ELSE split_part(path, '/', 3) END
            WHEN 'screener' THEN 'engine_control' WHEN 'destinations' THEN 'url_management'
            WHEN 'operations' THEN 'order_management' WHEN 'trade' THEN 'order_management'
            WHEN 'flatten' THEN 'order_management' WHEN 'sell-all' THEN 'order_management'
            WHEN 'positions' THEN 'order_management' WHEN 'orders' THEN 'order_management'
            WHEN 'approvals' THEN 'manual_override' WHEN 'trading-state' THEN 'manual_override'
            WHEN 'kill-switch' THEN 'manual_override' WHEN 'drift' THEN 'manual_override'
            WHEN 'stops' THEN 'manual_override' WHEN 'breakers' THEN 'manual_override'
            WHEN 'bots' THEN 'config_update' WHEN 'bot-subscriptions' THEN 'config_update'
            WHEN 'exchange-accounts' THEN 'config_update' WHEN 'users' THEN 'config_update'
            WHEN 'auth' THEN 'config_update' WHEN 'signals' THEN 'database_operation'
            ELSE 'system_maintenance' END
    END
$$;

SET LOCAL search_path TO DEFAULT;

-- As it was, and by its index: the kinds are named, and shown.
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
        WHEN j.kind = 'ForwardBegun' AND j.fact ->> 'attempt' = '1' THEN 'forwarding'
        WHEN j.kind = 'OrderAccepted' THEN 'forwarded_success'
        WHEN j.kind = 'OrderRejected' THEN pregao.forward_status('rejected', j.fact ->> 'code', 1, true)
        WHEN j.kind = 'OrderDenied' THEN pregao.forward_status('denied', j.fact ->> 'code', o.attempt, true)
    END AS status
) AS told
WHERE told.status IS NOT NULL AND j.signal_id IS NOT NULL
  AND j.kind IN ('SignalReceived', 'SignalAccepted', 'SignalRefused', 'DecisionPending', 'ApprovalAnswered',
                 'DecisionApproved', 'DecisionDeclined', 'OrderPlanned', 'ForwardBegun', 'OrderAccepted',
                 'OrderRejected', 'OrderDenied');

CREATE VIEW public.admin_actions AS
SELECT action_id, happened_at AS timestamp, pregao.action_type_of(path) AS action_type, action AS action_name,
       source_address AS ip_address, user_agent, targets AS details,
       (SELECT string_agg(value, ' ' ORDER BY key) FROM jsonb_each_text(targets)) AS target_resource,
       status < 400 AS success, error_code AS error_message, duration_ms AS execution_time_ms
FROM pregao.admin_actions;
