-- An attempt is a fact. A table of its own said so a second time, and cost every order of a burst another row and another key.

ALTER TABLE pregao.orders
    ADD signed_at_ms   bigint,
    ADD recv_window_ms integer CHECK (recv_window_ms BETWEEN 1 AND 5000),
    ADD owner          text,
    ADD lease_epoch    bigint;
UPDATE pregao.orders AS o
SET signed_at_ms = t.signed_at_ms, recv_window_ms = t.recv_window_ms, owner = t.owner, lease_epoch = t.lease_epoch
FROM pregao.attempts AS t WHERE t.order_id = o.order_id AND t.attempt = o.attempt;
DROP TABLE pregao.attempts;

CREATE VIEW pregao.attempts AS
SELECT fact ->> 'order_id' AS order_id, (fact ->> 'attempt')::integer AS attempt,
       fact ->> 'client_order_id' AS client_order_id, (fact ->> 'signed_at_ms')::bigint AS signed_at_ms,
       (fact ->> 'recv_window_ms')::integer AS recv_window_ms, fact ->> 'owner' AS owner,
       (fact ->> 'lease_epoch')::bigint AS lease_epoch, happened_at AS planned_at, xid
FROM pregao.journal WHERE kind = 'OrderPlanned' AND epoch = (SELECT epoch FROM pregao.desk);
