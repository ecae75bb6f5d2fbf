-- What an operator's answers about listed addresses were in a run that is not over: whether too many mailboxes vanished at
-- once shows in all of it.
CREATE TABLE tally (
    run INTEGER NOT NULL,
    operator TEXT NOT NULL,
    asked INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    -- Of those asked, found deliverable lately; and of these, refused as unknown.
    lately INTEGER NOT NULL,
    lately_gone INTEGER NOT NULL,
    PRIMARY KEY (run, operator)
) STRICT, WITHOUT ROWID;
