-- An event that broke its contract and comes again is recognized by its identity while its entry is
-- there. In a table of its own, because SQLite reads a whole STRICT table for a column more. A row comes
-- and goes with the entry of its id; entries of before have none.
CREATE TABLE quarantined_events (
    id       INTEGER PRIMARY KEY,
    identity BLOB    NOT NULL UNIQUE
) STRICT;
