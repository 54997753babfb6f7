-- Places from which the matches of a subscription can be numbered: after everything up to `position`
-- was looked at, `sequence` and `chain` are those of the last match.
CREATE TABLE milestones (
    subscription TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    chain        BLOB    NOT NULL,
    PRIMARY KEY (subscription, position)
) STRICT, WITHOUT ROWID;

-- A cursor is such a place, and the only one that is known of a subscription that was there before.
INSERT INTO milestones SELECT subscription, settled, sequence, chain FROM cursors;
