-- What proves a user beside his password. No part of the journal, like the password: it can be forgotten.

-- Beside the password, because a login locks that row: whoever begins a session sees whether a code is needed now.
ALTER TABLE pregao.passwords ADD COLUMN second_factor_since timestamptz;

CREATE TABLE pregao.second_factors (
    user_id     uuid PRIMARY KEY,
    sealed_id   bigint      NOT NULL,  -- under which number of `credentials` its secret is sealed
    begun_at    timestamptz NOT NULL,
    last_step   bigint      NOT NULL,  -- codes up to this step of thirty seconds were taken, or are too old
    tries       integer     NOT NULL,  -- wrong codes of the app within the day since
    tries_since timestamptz NOT NULL
);

CREATE TABLE pregao.recovery_codes (
    user_id     uuid NOT NULL,
    code_sha256 text NOT NULL,
    used_at     timestamptz,
    PRIMARY KEY (user_id, code_sha256)
);

-- A password was right, and the code is not there yet: for minutes, on the console's way in.
CREATE TABLE pregao.half_logins (
    ticket_sha256 text PRIMARY KEY,
    email         text        NOT NULL,
    password_hash text        NOT NULL,
    expires_at    timestamptz NOT NULL
);
