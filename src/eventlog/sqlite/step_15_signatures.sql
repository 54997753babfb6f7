-- Which invocations came under a signature, in the order in which they came: an index by signature would
-- have each request write a page of its own. One that is kept twice is read once.
CREATE TABLE signatures (
    id         INTEGER PRIMARY KEY,
    signed_at  INTEGER NOT NULL,
    signature  BLOB    NOT NULL,
    invocation BLOB    NOT NULL,
    is_first   INTEGER NOT NULL,
    access_key TEXT    NOT NULL
) STRICT;
