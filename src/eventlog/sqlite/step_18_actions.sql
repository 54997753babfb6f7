-- What callers changed; the oldest rows are dropped by age, and of each caller by number. A row is there
-- before the change is made, and its end is noted after.
CREATE TABLE actions (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    caller   TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    target   TEXT    NOT NULL,
    consumer TEXT,
    domain   TEXT,
    request  TEXT,
    reason   TEXT,
    outcome  TEXT    NOT NULL,
    code     TEXT,
    made     TEXT
) STRICT;
CREATE INDEX actions_of_caller ON actions (caller);
CREATE INDEX actions_of_consumer ON actions (consumer) WHERE consumer IS NOT NULL;
CREATE INDEX actions_of_domain ON actions (domain) WHERE domain IS NOT NULL;
