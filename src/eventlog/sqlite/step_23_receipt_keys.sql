-- The consumers' public keys under which receipts were checked, and the newest receipt of each: a key
-- goes with the last one.
CREATE TABLE receipt_keys (
    subscription TEXT    NOT NULL,
    kid          TEXT    NOT NULL,
    thumbprint   TEXT    NOT NULL,
    jwk          TEXT    NOT NULL,
    last         INTEGER NOT NULL,
    PRIMARY KEY (subscription, kid, thumbprint)
) STRICT, WITHOUT ROWID;
