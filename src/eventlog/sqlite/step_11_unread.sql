-- What a producer sent asynchronously and could not be read is in quarantine as bytes: who sent it, the
-- headers that say how it is read, and the body. A producer has a quota of entries and of weight, and
-- what it sends again is recognized by its identity. In a table of its own, because SQLite reads a
-- whole STRICT table for a column more: 20,000 entries of 10 KB took six columns 1.7 s from the disk.
-- A row comes and goes with the entry of its id.
CREATE TABLE unread (
    id            INTEGER PRIMARY KEY,
    producer_kind TEXT    NOT NULL,
    producer      TEXT    NOT NULL,
    identity      BLOB    NOT NULL,
    headers       TEXT    NOT NULL,
    body          BLOB    NOT NULL,
    weight        INTEGER NOT NULL
) STRICT;
CREATE INDEX unread_by_producer ON unread (producer, producer_kind, identity, weight);
