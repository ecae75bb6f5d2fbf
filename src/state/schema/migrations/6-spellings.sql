-- Version 6: addresses that differ in ASCII case are one.
CREATE TABLE spelling (
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    local TEXT NOT NULL,
    position INTEGER NOT NULL,
    probed_as TEXT NOT NULL,
    PRIMARY KEY (run, domain, local)
) STRICT, WITHOUT ROWID;
