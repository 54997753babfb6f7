-- The Merkle tree over the log (RFC 6962): one leaf for each event from the first position after this
-- step on. Hashes stay when their events go.
CREATE TABLE tree (
    first INTEGER NOT NULL
) STRICT;
INSERT INTO tree (first) SELECT 1 + max(
    (SELECT coalesce(max(position), 0) FROM events),
    (SELECT position FROM floors));

-- The hashes of leaves, sixteen in a row, the last row as many as there are. They grow at their end
-- only, so that a transaction changes one page.
CREATE TABLE tree_leaves (
    number INTEGER PRIMARY KEY,
    hashes BLOB    NOT NULL
) STRICT;

-- The roots of 256 hashes of the level below; level 1 is over leaves.
CREATE TABLE tree_nodes (
    level  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash   BLOB    NOT NULL,
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

-- The leaves' data of events that were dropped while others of their bundle of 256 are there.
CREATE TABLE tree_entries (
    position INTEGER PRIMARY KEY,
    id       BLOB    NOT NULL,
    digest   BLOB    NOT NULL
) STRICT;
