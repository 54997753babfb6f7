-- What a producer sent asynchronously and could not be read is in quarantine as bytes: who sent it, the
-- headers that say how it is read, and the body. A producer has a quota of entries and of weight, and
-- what it sends again is recognized by its identity.
ALTER TABLE quarantine ADD COLUMN producer_kind TEXT;
ALTER TABLE quarantine ADD COLUMN producer TEXT;
ALTER TABLE quarantine ADD COLUMN identity BLOB;
ALTER TABLE quarantine ADD COLUMN headers TEXT;
ALTER TABLE quarantine ADD COLUMN body BLOB;
ALTER TABLE quarantine ADD COLUMN weight INTEGER;
CREATE INDEX quarantine_by_producer ON quarantine (producer, producer_kind, identity, weight)
 WHERE producer IS NOT NULL;
