-- What publications decided about events beside their core attributes, as JSON: the name where it is
-- not the type, extension attributes, and what of them stands outside of tokens. In a table of its
-- own, so that old rows stay as they are, which keeps them as they were. They come and go with their
-- event.
CREATE TABLE contexts (
    position INTEGER PRIMARY KEY,
    context  TEXT    NOT NULL
) STRICT;

-- A dead letter has its own copy of the event.
ALTER TABLE dead_letters ADD COLUMN context TEXT;
