-- Who entered the screener's list and who left it stands in the journal; the latest of it is looked for on a page.

CREATE INDEX journal_listed ON pregao.journal (seq) WHERE kind = 'TickersListed';
