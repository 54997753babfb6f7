-- The time in which gateways ran on this log, and what there was when, so that ages are told without the
-- machine's clock, which may leap.

-- How much was counted, in nanoseconds; when counting began, and the newest of everything that was there
-- then, whose age is told by its own time. One row.
CREATE TABLE running_time (
    ran         INTEGER NOT NULL DEFAULT 0,
    begun       INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    event       BLOB    NOT NULL,
    dead_letter INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    receipt     INTEGER NOT NULL,
    action      INTEGER NOT NULL,
    revision    INTEGER NOT NULL
) STRICT;

-- The newest of everything that was there once so much was counted. The older, the fewer: a row for a
-- second becomes one for a minute, an hour, a day.
CREATE TABLE running_marks (
    ran         INTEGER PRIMARY KEY,
    position    INTEGER NOT NULL,
    event       BLOB    NOT NULL,
    dead_letter INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    receipt     INTEGER NOT NULL,
    action      INTEGER NOT NULL,
    revision    INTEGER NOT NULL
) STRICT;
