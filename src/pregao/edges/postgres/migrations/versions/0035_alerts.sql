-- Alerts, the channels that carry them, and what is on its way to whom.

SET LOCAL search_path = pregao;

CREATE TABLE alerts (
    alert_id        uuid PRIMARY KEY,
    kind            text    NOT NULL,
    level           text    NOT NULL,
    title           text    NOT NULL,
    text            text    NOT NULL,
    numbers         jsonb   NOT NULL,
    dedupe_key      text    NOT NULL,
    subject         text    NOT NULL,
    user_id         uuid,              -- whose it is; NULL: the desk's
    account_id      bigint,
    bot_id          uuid,
    repeats         integer NOT NULL,
    raised_at       timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text
);
CREATE INDEX alerts_of_audience ON alerts (user_id, alert_id);

CREATE TABLE alert_channels (
    channel_id     bigint PRIMARY KEY,
    name           text    NOT NULL,
    kind           text    NOT NULL,
    shown          jsonb   NOT NULL,
    user_id        uuid,
    level          text,
    place          integer NOT NULL,
    is_standby     boolean NOT NULL,
    per_minute_max integer NOT NULL,
    is_active      boolean NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (user_id, name)
);

CREATE TABLE alert_mutes (
    mute_id   uuid PRIMARY KEY,
    user_id   uuid,
    kind      text,
    level_max text NOT NULL,
    until     timestamptz NOT NULL,
    reason    text NOT NULL,
    muted_by  text NOT NULL,
    muted_at  timestamptz NOT NULL
);

CREATE TABLE alert_levels (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    level    text NOT NULL,
    set_by   text NOT NULL,
    set_at   timestamptz NOT NULL
);

-- The rest is work under way, by this server's clock. No state: it has no facts.

-- One alert on its way to one channel; kept with what came of it.
CREATE TABLE alert_deliveries (
    alert_id      uuid    NOT NULL,
    channel_id    bigint  NOT NULL,
    status        text    NOT NULL CHECK (status IN ('due', 'sent', 'failed', 'muted')),
    subject       text    NOT NULL,  -- of the alert
    level_rank    integer NOT NULL,  -- of the alert
    due_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts      integer NOT NULL DEFAULT 0,
    is_escalation boolean NOT NULL DEFAULT false,  -- another channel failed
    claimed_by    bigint,            -- the lease epoch of who sends it now
    claimed_until timestamptz,
    tried_at      timestamptz,       -- the last try
    message_id    uuid,              -- several that were told in one summary have the same
    sent_at       timestamptz,
    code          text,
    reason        text,
    PRIMARY KEY (alert_id, channel_id)
);
CREATE INDEX alert_deliveries_due ON alert_deliveries (channel_id, due_at) WHERE status = 'due';
CREATE INDEX alert_deliveries_sent ON alert_deliveries (channel_id, sent_at) WHERE status = 'sent';

-- How far the journal was read for alerts: from this migration on.
CREATE TABLE alert_cursor (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    epoch    integer NOT NULL,
    xid      xid8    NOT NULL,
    seq      bigint  NOT NULL
);
INSERT INTO alert_cursor (epoch, xid, seq) SELECT epoch, pg_current_xact_id(), 0 FROM desk;

-- When an alert of a key was raised last, and how many were kept back since.
CREATE TABLE alert_windows (
    dedupe_key text    NOT NULL,
    user_id    uuid,
    raised_at  timestamptz NOT NULL,
    kept_back  integer NOT NULL DEFAULT 0,
    UNIQUE NULLS NOT DISTINCT (dedupe_key, user_id)
);

-- What stands in the state and was told of, until it is over.
CREATE TABLE alert_conditions (
    dedupe_key text PRIMARY KEY,
    since      timestamptz NOT NULL DEFAULT clock_timestamp()
);

SET LOCAL search_path TO DEFAULT;
