-- How long what was entered by hand stays on the list of what can be sold; no row until somebody says.
CREATE TABLE pregao.sell_list_rules (
    only_one       boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    is_cleaned     boolean NOT NULL,
    lifetime_hours integer NOT NULL,
    set_by         text    NOT NULL,
    set_at         timestamptz NOT NULL
);

-- What somebody asked for by hand is called so: a body of the desk's own says what it was.
CREATE FUNCTION pregao.signal_type_of(action text, side text, source text, body bytea) RETURNS text LANGUAGE sql IMMUTABLE
AS $$
SELECT coalesce(CASE WHEN source = 'desk' THEN pregao.body_as_json(body) ->> 'type' END,
                pregao.signal_type_of(action, side))
$$;

CREATE OR REPLACE VIEW public.signals AS
SELECT s.signal_id, s.symbol AS ticker, s.symbol AS normalised_ticker, s.side, s.price, now_at.status,
       pregao.signal_type_of(s.action, s.side, s.source, s.body) AS signal_type,
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
