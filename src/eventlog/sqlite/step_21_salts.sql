-- The digest of an event that is appended from now on has 48 bytes: the digest of form 2, and its salt.
-- In the column that there is, because a column more would have SQLite read the whole log before the
-- gateway opens, and a table more would have a page of its own written with each transaction. Events of
-- before keep their 32 bytes of form 1. An older gateway does not read that.

-- What no gateway has used: salts were to be here.
DROP TABLE IF EXISTS protections;
CREATE TABLE protections (
    position INTEGER PRIMARY KEY,
    data_key TEXT
) STRICT;
