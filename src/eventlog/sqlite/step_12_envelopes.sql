-- Which events came of an envelope, by the id that it had on its producer's bus: the first eight bytes
-- of the SHA-256 of the id, as a number. `repeated` is 1 where the id is not that of the event itself,
-- but of an envelope whose content was swallowed as a repeat of it. A part has the rows of 8,192 positions, so that what is added
-- together lies together. In a table of its own, because an index of old events would have SQLite read
-- the whole log before the gateway opens: events of before are not found by it.
CREATE TABLE envelopes (
    part     INTEGER NOT NULL,
    name     INTEGER NOT NULL,
    position INTEGER NOT NULL,
    repeated INTEGER NOT NULL,
    PRIMARY KEY (part, name, position)
) STRICT, WITHOUT ROWID;
