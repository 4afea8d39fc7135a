-- One row per address of ours and venue; it is about the present minute and may be lost. No part of the journal.

SET LOCAL search_path = pregao;

CREATE TABLE weights (
    egress       text    NOT NULL,  -- the name of the address that requests leave from
    service      text    NOT NULL,  -- the venue
    minute       bigint  NOT NULL,  -- since 1970, by the venue's clock
    drawn        integer NOT NULL,  -- by all processes in that minute, never less than what the venue says
    used         integer NOT NULL,  -- as the venue says
    weight_max   integer NOT NULL,  -- as the venue says
    paused_until timestamptz,       -- by this server's clock
    PRIMARY KEY (egress, service)
) WITH (fillfactor = 50);

SET LOCAL search_path TO DEFAULT;
