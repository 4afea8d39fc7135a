-- Few facts set what holds for the whole desk; they are found among all others by an index of their own.
CREATE INDEX journal_settings ON pregao.journal (kind, seq)
    WHERE kind IN ('ForwardLimitSet', 'RetentionSet', 'AlertLevelSet', 'SellListConfigured', 'ScreenerPaused');
