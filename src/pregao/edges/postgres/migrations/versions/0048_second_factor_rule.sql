-- Who must have a second factor: whoever has this role or a larger one; null is nobody.

CREATE TABLE pregao.second_factor_rules (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    role     text,
    set_by   text        NOT NULL,
    set_at   timestamptz NOT NULL
);

-- As 0042, with the kind that sets this one.
DROP INDEX pregao.journal_settings;
CREATE INDEX journal_settings ON pregao.journal (kind, seq)
    WHERE kind IN ('ForwardLimitSet', 'RetentionSet', 'AlertLevelSet', 'SellListConfigured', 'ScreenerPaused',
                   'SecondFactorDemanded');
