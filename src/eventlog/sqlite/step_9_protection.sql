-- What the digest of an event was salted with, and the key under which its data is encrypted; NULL
-- where there is none.
ALTER TABLE events ADD COLUMN salt BLOB;
ALTER TABLE events ADD COLUMN data_key TEXT;
