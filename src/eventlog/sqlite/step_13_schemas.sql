-- The schemas that events name and the contracts that these come from, kept for ever. A text is kept once,
-- under its SHA-256.
CREATE TABLE kept_texts (
    digest BLOB NOT NULL UNIQUE,
    text   TEXT NOT NULL
) STRICT;

-- What is served under an address below /schemas/. `named` is when the first event named it, which
-- `event` is; until then another schema may take its place.
CREATE TABLE schemas (
    address          TEXT    PRIMARY KEY,
    schema           BLOB    NOT NULL,
    meaning          BLOB    NOT NULL,
    contract_path    TEXT    NOT NULL,
    contract_version TEXT    NOT NULL,
    contract         BLOB    NOT NULL,
    named            INTEGER,
    event            BLOB
) STRICT;
CREATE INDEX schemas_of_contract ON schemas (contract_path, contract_version);

-- The address behind each `dataschema` that events were given: the gateway's own address may change.
CREATE TABLE schema_names (
    dataschema TEXT PRIMARY KEY,
    address    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for as long as events of before may name schemas of which nothing is kept: what they name is
-- not searched for, since SQLite would read the whole log.
CREATE TABLE old_schemas (
    wanted INTEGER NOT NULL
) STRICT;
INSERT INTO old_schemas SELECT 1
 WHERE EXISTS (SELECT 1 FROM events) OR EXISTS (SELECT 1 FROM dead_letters)
    OR EXISTS (SELECT 1 FROM floors WHERE position > 0);
