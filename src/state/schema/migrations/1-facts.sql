-- The tables and views of version 1, from which tests migrate. The later migrations rename most of it; what the tables
-- hold stands in `tables.sql`.

CREATE TABLE universe (name TEXT NOT NULL) STRICT;

CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL,
    input TEXT NOT NULL,
    began INTEGER NOT NULL,
    gathered INTEGER NOT NULL DEFAULT 0,
    ended INTEGER,
    shut TEXT,
    anomalies TEXT,
    fresh_until INTEGER,
    oldest INTEGER
) STRICT;
CREATE INDEX run_identity ON run (identity);

CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;

CREATE TABLE text (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;

CREATE TABLE route (
    domain INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    looked_up INTEGER NOT NULL,
    run INTEGER NOT NULL
) STRICT;

CREATE TABLE roster (
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    place INTEGER NOT NULL,
    local TEXT NOT NULL,
    PRIMARY KEY (run, domain, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE answer (
    domain INTEGER NOT NULL,
    who INTEGER NOT NULL,
    local TEXT NOT NULL,
    at INTEGER NOT NULL,
    run INTEGER NOT NULL,
    egress INTEGER NOT NULL,
    exchanger INTEGER NOT NULL,
    stage TEXT NOT NULL,
    code INTEGER NOT NULL,
    text INTEGER NOT NULL,
    parts TEXT,
    PRIMARY KEY (domain, who, local, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE trouble (
    id INTEGER PRIMARY KEY,
    exchanger INTEGER NOT NULL,
    at INTEGER NOT NULL,
    finding TEXT,
    stage TEXT,
    code INTEGER,
    text INTEGER,
    parts TEXT
) STRICT;

CREATE TABLE settled (
    domain INTEGER NOT NULL,
    local TEXT NOT NULL,
    run INTEGER NOT NULL,
    catch_all TEXT,
    control INTEGER,
    positive TEXT,
    trouble INTEGER,
    unprobed TEXT,
    again INTEGER,
    reason TEXT,
    checked INTEGER,
    expires INTEGER,
    PRIMARY KEY (domain, local)
) STRICT, WITHOUT ROWID;

CREATE TABLE served (
    exchanger INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    PRIMARY KEY (exchanger, domain)
) STRICT, WITHOUT ROWID;

CREATE TABLE egress (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;

CREATE TABLE spent (
    egress INTEGER NOT NULL,
    operator TEXT NOT NULL,
    minute INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    PRIMARY KEY (egress, operator, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE reason (
    word TEXT PRIMARY KEY,
    verdict TEXT NOT NULL,
    fault TEXT NOT NULL,
    sentence TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW verdicts AS
SELECT settled.local || '@' || name.name AS email,
    reason.verdict,
    settled.reason,
    reason.fault,
    datetime(settled.checked / 1000, 'unixepoch') AS checked_at,
    datetime(settled.expires / 1000, 'unixepoch') AS expires_at,
    settled.catch_all,
    settled.run,
    settled.domain AS domain_id
FROM settled
JOIN name ON name.id = settled.domain
LEFT JOIN reason ON reason.word = settled.reason;

CREATE VIEW attempts AS
SELECT answer.local || '@' || domain.name AS email,
    CASE answer.who WHEN 0 THEN 'listed' WHEN 1 THEN 'made_up' ELSE 'postmaster' END AS who,
    datetime(answer.at / 1000, 'unixepoch') AS at,
    exchanger.name AS mx_host,
    egress.name AS egress,
    answer.stage,
    answer.code,
    (WITH RECURSIVE filled (text, parts) AS (
        SELECT replace(replace(text.text, char(17), answer.local || '@' || domain.name), char(18), answer.local),
            coalesce(answer.parts, '') || ' '
        UNION ALL
        SELECT substr(text, 1, instr(text, char(26)) - 1)
                || substr(parts, 1, instr(parts, ' ') - 1)
                || substr(text, instr(text, char(26)) + 1),
            substr(parts, instr(parts, ' ') + 1)
        FROM filled WHERE instr(text, char(26)) > 0
    ) SELECT text FROM filled WHERE instr(text, char(26)) = 0) AS text,
    answer.run,
    answer.domain AS domain_id
FROM answer
JOIN name AS domain ON domain.id = answer.domain
JOIN name AS exchanger ON exchanger.id = answer.exchanger
JOIN text ON text.id = answer.text
LEFT JOIN egress ON egress.id = answer.egress;

CREATE VIEW domains AS
SELECT name.name AS domain, route.kind AS route, route.detail,
    datetime(route.looked_up / 1000, 'unixepoch') AS looked_up_at
FROM route JOIN name ON name.id = route.domain;

CREATE VIEW runs AS
SELECT run.id, run.input,
    datetime(run.began / 1000, 'unixepoch') AS began_at,
    datetime(run.ended / 1000, 'unixepoch') AS ended_at,
    run.shut AS stopped_because,
    (SELECT count(*) FROM roster WHERE roster.run = run.id) AS still_to_ask
FROM run;
