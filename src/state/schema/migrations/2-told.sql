-- The reason that was last reported for each row of any list, so that a later run can write the changes alone. It is no
-- evidence. `id` is the hash of the row's address as it was probed (`local@domain`), or of its cell where that is none.
CREATE TABLE told (
    id INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    -- The run that reported this reason first, and the reason before it; null where there was none.
    run INTEGER NOT NULL,
    before TEXT
) STRICT;
