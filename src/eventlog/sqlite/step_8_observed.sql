-- The violations of events that their publication only observes: how many were found, and the first
-- of them as JSON. They come and go with their event.
CREATE TABLE observed (
    position   INTEGER PRIMARY KEY,
    found      INTEGER NOT NULL,
    violations TEXT    NOT NULL
) STRICT;
