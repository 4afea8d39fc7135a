-- Alarms of what nothing guards, and their ends: few among millions.
CREATE INDEX journal_told_open ON pregao.journal (happened_at)
    WHERE kind IN ('PositionUnguarded', 'PositionGuarded');
