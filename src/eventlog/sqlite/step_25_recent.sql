-- What `origins`, `contents` and `envelopes` are to hold of the newest events. Those tables lie in the
-- order of their keys, so that each event would have pages of its own written in each of them; here rows
-- lie in the order in which they come, and go there later, many in the order of their keys.
CREATE TABLE recent (
    position        INTEGER PRIMARY KEY,
    event           BLOB    NOT NULL,
    accepted        INTEGER NOT NULL,
    origin          BLOB,
    idempotency_key BLOB    NOT NULL,
    digest          BLOB    NOT NULL,
    publication     TEXT    NOT NULL,
    envelope        INTEGER NOT NULL
) STRICT;
