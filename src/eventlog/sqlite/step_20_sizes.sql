-- What the events of the log take, so that nothing else that is kept counts for its size; one row.
-- `bytes` is what those above the low watermark take, up to `position`; what comes after it is added
-- now and then, from the events themselves. Events of before take `old_each`, their share of the
-- database at the upgrade, because to look at each would have SQLite read the whole log.
CREATE TABLE log_size (
    position    INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    old_through INTEGER NOT NULL,
    old_each    INTEGER NOT NULL
) STRICT;

-- What the texts of a dead letter take, and the most that it takes on disk.
ALTER TABLE dead_letters ADD COLUMN texts INTEGER GENERATED ALWAYS AS (
    octet_length(data) + octet_length(detail) + octet_length(source) + octet_length(type)
    + coalesce(octet_length(subject), 0) + coalesce(octet_length(dataschema), 0)
    + coalesce(octet_length(trace), 0) + coalesce(octet_length(time_text), 0)
    + coalesce(octet_length(context), 0)
    + 3 * (octet_length(subscription) + octet_length(replay) + octet_length(reason))
) VIRTUAL;
ALTER TABLE dead_letters ADD COLUMN bytes INTEGER GENERATED ALWAYS AS (
    texts + min(texts, 4096) + 768
) VIRTUAL;

-- How many dead letters a subscription has and how much they take, and the same of those among them
-- that are delivered again; a row goes with the last one. Whoever adds, marks or drops one counts it.
CREATE TABLE dead_letter_sizes (
    subscription   TEXT    PRIMARY KEY,
    entries        INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    redriven       INTEGER NOT NULL,
    redriven_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO dead_letter_sizes
SELECT subscription, count(*), sum(bytes), sum(redriven), sum(redriven * bytes) FROM dead_letters
 GROUP BY subscription;
CREATE TRIGGER dead_letter_comes AFTER INSERT ON dead_letters BEGIN
    INSERT INTO dead_letter_sizes
    VALUES (NEW.subscription, 1, NEW.bytes, NEW.redriven, NEW.redriven * NEW.bytes)
    ON CONFLICT (subscription) DO UPDATE
       SET entries = entries + 1, bytes = bytes + excluded.bytes,
           redriven = redriven + excluded.redriven,
           redriven_bytes = redriven_bytes + excluded.redriven_bytes;
END;
CREATE TRIGGER dead_letter_is_redriven AFTER UPDATE OF redriven ON dead_letters BEGIN
    UPDATE dead_letter_sizes
       SET redriven = redriven + NEW.redriven - OLD.redriven,
           redriven_bytes = redriven_bytes + (NEW.redriven - OLD.redriven) * NEW.bytes
     WHERE subscription = NEW.subscription;
END;
CREATE TRIGGER dead_letter_goes AFTER DELETE ON dead_letters BEGIN
    UPDATE dead_letter_sizes
       SET entries = entries - 1, bytes = bytes - OLD.bytes, redriven = redriven - OLD.redriven,
           redriven_bytes = redriven_bytes - OLD.redriven * OLD.bytes
     WHERE subscription = OLD.subscription;
    DELETE FROM dead_letter_sizes WHERE subscription = OLD.subscription AND entries = 0;
END;

-- The quota of a producer counts what an entry takes on disk at the most, as the size of the whole
-- does, and names count for entries of before, too.
UPDATE quarantine_sizes SET bytes = texts + min(texts, 4096) + 768
  FROM (SELECT quarantine.id AS of,
               coalesce(weight + 2 * octet_length(producer),
                        octet_length(received) + octet_length(violations)
                        + 2 * octet_length(publication))
               + 2 * (octet_length(envelope_id) + octet_length(codes)) AS texts
          FROM quarantine LEFT JOIN unread ON unread.id = quarantine.id)
 WHERE of = quarantine_sizes.id;
ALTER TABLE quarantine_sizes DROP COLUMN weight;
DROP TABLE quarantine_usage;
CREATE TABLE quarantine_usage (
    producer      TEXT    NOT NULL,
    producer_kind TEXT    NOT NULL,
    is_unread     INTEGER NOT NULL,
    entries       INTEGER NOT NULL,
    bytes         INTEGER NOT NULL,
    PRIMARY KEY (producer, producer_kind, is_unread)
) STRICT, WITHOUT ROWID;
CREATE INDEX quarantine_usage_by_bytes ON quarantine_usage (bytes);
INSERT INTO quarantine_usage
SELECT producer, producer_kind, is_unread, count(*), sum(bytes) FROM quarantine_sizes
 GROUP BY producer, producer_kind, is_unread;
UPDATE quarantine_total SET bytes = (SELECT coalesce(sum(bytes), 0) FROM quarantine_sizes);

-- What was set aside is no share of the events.
INSERT INTO log_size
SELECT head, share * (head - low), head, share
  FROM (SELECT head, low, CASE WHEN head > low THEN max(0, used - aside) / (head - low) ELSE 0 END AS share
          FROM (SELECT position AS low,
                       max(position, coalesce((SELECT max(position) FROM events), 0)) AS head,
                       (SELECT page_size * (page_count - freelist_count)
                          FROM pragma_page_size, pragma_page_count, pragma_freelist_count) AS used,
                       (SELECT bytes FROM quarantine_total)
                       + (SELECT coalesce(sum(bytes), 0) FROM dead_letter_sizes) AS aside
                  FROM floors));
