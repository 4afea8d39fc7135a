-- What cooldowns and limits of entries a day count: by bot and time, entries that were approved.

CREATE INDEX signals_entered ON pregao.signals (bot_id, decided_at)
    WHERE action = 'enter' AND status IN ('approved', 'planned', 'settled');
