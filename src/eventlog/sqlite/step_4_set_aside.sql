-- Dead letters have numbers of their subscription's own, and stay while they are delivered again.
ALTER TABLE retries ADD COLUMN redriven INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN redriven INTEGER NOT NULL DEFAULT 0;
-- The numbers that consumers know already stay as they are.
UPDATE dead_letters SET number = id;
DROP INDEX dead_letters_of_subscription;
CREATE UNIQUE INDEX dead_letters_of_subscription ON dead_letters (subscription, number);
CREATE INDEX dead_letters_of_delivery ON dead_letters (subscription, replay, event);
CREATE INDEX dead_letters_by_reason ON dead_letters (subscription, reason, redriven, number);
CREATE INDEX dead_letters_by_age ON dead_letters (at) WHERE redriven = 0;

-- The last number that a dead letter of a subscription was given.
CREATE TABLE dead_letter_numbers (
    subscription TEXT    PRIMARY KEY,
    last         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO dead_letter_numbers SELECT subscription, max(number) FROM dead_letters GROUP BY subscription;

-- Quarantined events are counted by the codes of their violations, and found by their producer's id.
ALTER TABLE quarantine ADD COLUMN envelope_id TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN codes TEXT NOT NULL DEFAULT '';
UPDATE quarantine SET envelope_id = coalesce(json_extract(received, '$.envelope.id'), '')
 WHERE json_valid(received);
UPDATE quarantine SET codes = coalesce(
    (SELECT group_concat(code, ',') FROM
       (SELECT DISTINCT json_extract(value, '$.code') AS code FROM json_each(violations) ORDER BY code)),
    '')
 WHERE json_valid(violations);
CREATE INDEX quarantine_by_publication ON quarantine (publication, codes);
CREATE INDEX quarantine_by_envelope ON quarantine (envelope_id);
