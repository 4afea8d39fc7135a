-- What bots and subscriptions may be told beyond size and leverage. Rows that are there keep what they did.

ALTER TABLE pregao.bots
    ADD approval                  text    NOT NULL DEFAULT 'automatic',
    ADD approval_seconds          integer NOT NULL DEFAULT 300,
    ADD approval_price_move_pct   numeric NOT NULL DEFAULT 1,
    ADD allowed_symbols           jsonb   NOT NULL DEFAULT '[]',
    ADD trading_hours             jsonb   NOT NULL DEFAULT '[]',
    ADD cooldown_seconds          integer NOT NULL DEFAULT 0,
    ADD max_entries_per_day       integer,
    ADD global_max_daily_loss_usd numeric,
    ADD global_max_positions      integer,
    ADD same_side                 text    NOT NULL DEFAULT 'ignore',
    ADD opposite_side             text    NOT NULL DEFAULT 'reverse',
    ADD symbols                   jsonb   NOT NULL DEFAULT '[]';
ALTER TABLE pregao.subscriptions
    ADD custom_same_side     text,
    ADD custom_opposite_side text,
    ADD symbols              jsonb NOT NULL DEFAULT '[]',
    ADD config_group_id      uuid;
