-- Secrets that are changed while both are good: of bots, and of the vault.

SET LOCAL search_path = pregao;

-- A bot's former secret is taken until its time has come.
ALTER TABLE bots ADD former_secret_sha256 text, ADD former_secret_until timestamptz;

-- Signatures that were here, for as long as they could be replayed. No part of the journal.
CREATE TABLE signatures_taken (
    bot_id    uuid        NOT NULL,
    signature text        NOT NULL,
    signal_id uuid        NOT NULL,
    taken_at  timestamptz NOT NULL,
    PRIMARY KEY (bot_id, signature)
);
CREATE INDEX signatures_taken_by_age ON signatures_taken (taken_at);

-- Master keys, by name, that were forgotten after a rotation: whoever still has one must not seal under it.
CREATE TABLE retired_master_keys (
    master_key text PRIMARY KEY,
    retired_at timestamptz NOT NULL DEFAULT now()
);

SET LOCAL search_path TO DEFAULT;
