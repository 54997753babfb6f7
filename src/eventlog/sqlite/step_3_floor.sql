-- The newest entry that retention has dropped; one row. Ids and positions go on after it when the
-- table of events is empty.
CREATE TABLE floors (
    position INTEGER NOT NULL,
    id       BLOB    NOT NULL
) STRICT;
INSERT INTO floors VALUES (0, zeroblob(16));

-- Retention asks of each old entry whether it waits for another attempt.
CREATE INDEX retries_of_position ON retries (position);
