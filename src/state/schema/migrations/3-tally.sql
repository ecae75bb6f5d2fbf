-- The replies of a provider about recipients of the list in a run without an end: mailboxes that vanish at the same time
-- show in all of them.
CREATE TABLE tally (
    run INTEGER NOT NULL,
    operator TEXT NOT NULL,
    asked INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    -- Of those probed, the recipients that were deliverable in recent runs; and of these, the unknown ones.
    lately INTEGER NOT NULL,
    lately_gone INTEGER NOT NULL,
    PRIMARY KEY (run, operator)
) STRICT, WITHOUT ROWID;
