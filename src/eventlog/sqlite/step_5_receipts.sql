-- What consumers have signed for; the oldest rows are dropped by age.
CREATE TABLE receipts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription TEXT    NOT NULL,
    replay       TEXT    NOT NULL,
    event        BLOB    NOT NULL,
    sequence     INTEGER,
    at           INTEGER NOT NULL,
    token        BLOB    NOT NULL,
    jws          TEXT    NOT NULL
) STRICT;
CREATE INDEX receipts_of_subscription ON receipts (subscription);
CREATE INDEX receipts_of_event ON receipts (event);

-- What the check of a receipt came to; NULL where none is asked for.
ALTER TABLE attempts ADD COLUMN receipt TEXT;
