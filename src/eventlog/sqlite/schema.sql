-- Version 1 of the log. Times are nanoseconds since the Unix epoch, ids and digests are bytes.

-- Every event that was let in; positions have no gaps.
CREATE TABLE events (
    position        INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    source          TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    subject         TEXT,
    time            INTEGER NOT NULL,
    dataschema      TEXT,
    idempotency_key BLOB    NOT NULL,
    digest          BLOB    NOT NULL,
    trace           TEXT,
    data            TEXT    NOT NULL,
    accepted        INTEGER NOT NULL,
    publication     TEXT    NOT NULL,
    envelope_id     TEXT    NOT NULL,
    conflict        BLOB
) STRICT;

-- What repeats by a bus are recognised by; swept when older than a day.
CREATE TABLE origins (
    origin   BLOB    PRIMARY KEY,
    event    BLOB    NOT NULL,
    accepted INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The newest event of each content of each publication; tells repeats and conflicts.
CREATE TABLE contents (
    idempotency_key BLOB    NOT NULL,
    digest          BLOB    NOT NULL,
    publication     TEXT    NOT NULL,
    event           BLOB    NOT NULL,
    accepted        INTEGER NOT NULL,
    PRIMARY KEY (idempotency_key, digest, publication)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (
    subscription TEXT    PRIMARY KEY,
    settled      INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    chain        BLOB    NOT NULL,
    ahead        BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- An empty replay is live traffic.
CREATE TABLE retries (
    subscription  TEXT    NOT NULL,
    replay        TEXT    NOT NULL,
    event         BLOB    NOT NULL,
    position      INTEGER NOT NULL,
    sequence      INTEGER,
    chain         BLOB,
    attempts      INTEGER NOT NULL,
    first_attempt INTEGER NOT NULL,
    due           INTEGER NOT NULL,
    PRIMARY KEY (subscription, replay, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription    TEXT    NOT NULL,
    replay          TEXT    NOT NULL,
    event           BLOB    NOT NULL,
    source          TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    subject         TEXT,
    time            INTEGER NOT NULL,
    dataschema      TEXT,
    idempotency_key BLOB    NOT NULL,
    digest          BLOB    NOT NULL,
    trace           TEXT,
    data            TEXT    NOT NULL,
    position        INTEGER NOT NULL,
    sequence        INTEGER,
    chain           BLOB,
    reason          TEXT    NOT NULL,
    attempts        INTEGER NOT NULL,
    status          INTEGER,
    detail          TEXT    NOT NULL,
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letters_of_subscription ON dead_letters (subscription);

-- The delivery log; its oldest rows are dropped by age and number.
CREATE TABLE attempts (
    number       INTEGER PRIMARY KEY,
    subscription TEXT    NOT NULL,
    replay       TEXT    NOT NULL,
    event        BLOB    NOT NULL,
    attempt      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    duration_ms  INTEGER NOT NULL,
    status       INTEGER,
    verdict      TEXT    NOT NULL,
    detail       TEXT    NOT NULL
) STRICT;
CREATE INDEX attempts_of_subscription ON attempts (subscription);
CREATE INDEX attempts_of_event ON attempts (event);

CREATE TABLE quarantine (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    publication TEXT    NOT NULL,
    received    TEXT    NOT NULL,
    violations  TEXT    NOT NULL
) STRICT;

-- The last revision that a document was written under. One row for all documents, because a document
-- that was removed must not come back under a revision that it had.
CREATE TABLE revisions (
    last INTEGER NOT NULL
) STRICT;
INSERT INTO revisions VALUES (0);

-- The registry's documents.
CREATE TABLE records (
    kind     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;
