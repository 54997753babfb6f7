-- What each entry of the quarantine counts for, and whose it is: `weight` is what its producer's quota
-- counts, `bytes` the most that it takes on disk. A row comes and goes with the entry of its id. Events
-- of before have no producer, because none was noted.
CREATE TABLE quarantine_sizes (
    id            INTEGER PRIMARY KEY,
    producer      TEXT    NOT NULL,
    producer_kind TEXT    NOT NULL,
    is_unread     INTEGER NOT NULL,
    weight        INTEGER NOT NULL,
    bytes         INTEGER NOT NULL
) STRICT;
CREATE INDEX quarantine_sizes_by_producer ON quarantine_sizes (producer, id);
INSERT INTO quarantine_sizes
SELECT id, coalesce(producer, ''), coalesce(producer_kind, ''), producer IS NOT NULL,
       coalesce(weight, texts), coalesce(weight, texts) + min(coalesce(weight, texts), 2048) + 768
  FROM (SELECT quarantine.id AS id, producer, producer_kind, weight,
               octet_length(received) + octet_length(violations) AS texts
          FROM quarantine LEFT JOIN unread ON unread.id = quarantine.id);

-- What each producer has there of each kind; a row goes with the last entry.
CREATE TABLE quarantine_usage (
    producer      TEXT    NOT NULL,
    producer_kind TEXT    NOT NULL,
    is_unread     INTEGER NOT NULL,
    entries       INTEGER NOT NULL,
    weight        INTEGER NOT NULL,
    PRIMARY KEY (producer, producer_kind, is_unread)
) STRICT, WITHOUT ROWID;
CREATE INDEX quarantine_usage_by_weight ON quarantine_usage (weight);
INSERT INTO quarantine_usage
SELECT producer, producer_kind, is_unread, count(*), sum(weight) FROM quarantine_sizes
 GROUP BY producer, producer_kind, is_unread;

-- All of it.
CREATE TABLE quarantine_total (
    entries INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT;
INSERT INTO quarantine_total SELECT count(*), coalesce(sum(bytes), 0) FROM quarantine_sizes;
