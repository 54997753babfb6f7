-- One row for each time that this log was brought back from a backup: when, the head that the backup
-- had, and the id after which ids go on.
CREATE TABLE restores (
    at   INTEGER NOT NULL,
    head INTEGER NOT NULL,
    id   BLOB    NOT NULL
) STRICT;
