-- Which invocations came under a signature; the oldest rows are dropped as new ones come. Rows that come
-- together lie together, so that a producer costs no more pages than its events.
CREATE TABLE signatures (
    signed_at  INTEGER NOT NULL,
    signature  BLOB    NOT NULL,
    invocation BLOB    NOT NULL,
    is_first   INTEGER NOT NULL,
    access_key TEXT    NOT NULL,
    PRIMARY KEY (signed_at, signature, invocation)
) STRICT, WITHOUT ROWID;
