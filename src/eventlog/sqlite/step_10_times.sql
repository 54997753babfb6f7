-- The texts of the times of events that are not what their number of nanoseconds prints: another
-- year than 1678 to 2262, an offset, zeros at the end of a fraction. In a table of its own, so that
-- old rows stay as they are and the gateway opens at once. They come and go with their event.
CREATE TABLE times (
    position INTEGER PRIMARY KEY,
    time     TEXT    NOT NULL
) STRICT;

-- A dead letter has its own copy of the event. There are few, which SQLite reads once for this.
ALTER TABLE dead_letters ADD COLUMN time_text TEXT;
