-- One-time tickets for websockets: outside the journal, and gone with their use. Any web process may redeem one.
CREATE TABLE pregao.live_tickets (
    ticket_sha256 text PRIMARY KEY,
    token_sha256  text,  -- null: the admin token
    expires_at    timestamptz NOT NULL
);
