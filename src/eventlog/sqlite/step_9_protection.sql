-- What the digest of an event was salted with, and the key under which its data is encrypted, where
-- there is either. In a table of its own, because a column more would have SQLite read the whole log
-- before the gateway opens. They come and go with their event.
CREATE TABLE protections (
    position INTEGER PRIMARY KEY,
    salt     BLOB,
    data_key TEXT
) STRICT;
