-- What was given up, by event: it stays when the dead letter is dismissed or dropped, so that evidence says
-- it as long as the log has the event, and goes when the event is delivered after all.
CREATE TABLE given_up (
    subscription TEXT    NOT NULL,
    event        BLOB    NOT NULL,
    position     INTEGER NOT NULL,
    reason       TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (subscription, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX given_up_by_position ON given_up (position);
INSERT OR REPLACE INTO given_up (subscription, event, position, reason, at)
SELECT subscription, event, position, reason, at FROM dead_letters WHERE replay = '' ORDER BY number;
