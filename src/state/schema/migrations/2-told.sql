-- What was told about each row last, so that a later run can write just what it tells otherwise. No evidence: a row that
-- needs no question (a slip of the keyboard, an empty cell) stands here, too, by its number alone.
--
-- A row is numbered as names are: by its address as it was asked, `local@domain`, or by its cell where that is none.
CREATE TABLE told (
    id INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    -- The run that told it first, and what was told before that; null when nothing was.
    run INTEGER NOT NULL,
    before TEXT
) STRICT;
