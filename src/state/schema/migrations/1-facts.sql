-- The state of listproof: facts, not opinions. What servers said and what the DNS said stands here; what it means is
-- decided when it is read, by the rules of the day.
--
-- The views are for everybody and stay as they are; tables may change from version to version (`PRAGMA user_version`).
--   verdicts  one row per address that was asked about: what was told about it last
--   attempts  one row per answer to a question, with the server's words
--   domains   one row per domain: where its mail goes
--   runs      one row per run
--
-- Names and texts are numbered by the first 63 bits of their SHA-256, so that a number needs no look-up. Times are
-- milliseconds since 1970 in UTC.

-- What the facts are about: the Internet, a scripted world, or a lab. One row.
CREATE TABLE universe (name TEXT NOT NULL) STRICT;

-- A run over one list. One that did not end (`ended` is null) goes on when the same list comes again.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL,
    input TEXT NOT NULL,
    began INTEGER NOT NULL,
    -- Everybody who is to be asked stands in `roster`.
    gathered INTEGER NOT NULL DEFAULT 0,
    ended INTEGER,
    -- Why nothing that servers said in it is judged.
    shut TEXT,
    -- Keys of the lanes at which too many mailboxes vanished at once, one a line.
    anomalies TEXT,
    -- Nothing needs to be asked again before this time; and the oldest evidence that was used.
    fresh_until INTEGER,
    oldest INTEGER
) STRICT;
CREATE INDEX run_identity ON run (identity);

-- Domains and hosts.
CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;

-- Words of servers. U+0011 stands for the address asked about, U+0012 for its local part, each U+001A for the next of an
-- answer's `parts`, which are separated by blanks.
CREATE TABLE text (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;

-- Where a domain's mail goes: `hosts`, `null_mx`, `no_such_domain`, `no_mail_host`, `unroutable` or `failed`. `detail`
-- is the failure, or one line per exchanger: preference, name, addresses.
CREATE TABLE route (
    domain INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    looked_up INTEGER NOT NULL,
    run INTEGER NOT NULL
) STRICT;

-- Who is still to be asked in a run, by domain, in the order of the list.
CREATE TABLE roster (
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    place INTEGER NOT NULL,
    local TEXT NOT NULL,
    PRIMARY KEY (run, domain, place)
) STRICT, WITHOUT ROWID;

-- Each answer that counts, as it came. `who`: 0 a listed address, 1 a made-up name, 2 `postmaster`.
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

-- What stood in the way of answers, each shared by all whom it hit: a finding, or a reply.
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

-- The end of the questions about an address: which evidence there is besides its answers in this run.
CREATE TABLE settled (
    domain INTEGER NOT NULL,
    local TEXT NOT NULL,
    run INTEGER NOT NULL,
    -- Whether the domain accepts any name: `yes`, `no.control`, `no.unclear_control`, `no.listed`, `unclear`, `failed`.
    catch_all TEXT,
    -- With `yes` the time of the made-up name's answer, with `failed` the trouble.
    control INTEGER,
    -- Whether anybody is accepted there: `accepted`, `same_words`, `silent`.
    positive TEXT,
    trouble INTEGER,
    -- Why it was not asked to the end, and when it may be.
    unprobed TEXT,
    again INTEGER,
    -- What was told last: a judgement, kept for the views and for knowing what need not be asked again.
    reason TEXT,
    checked INTEGER,
    expires INTEGER,
    PRIMARY KEY (domain, local)
) STRICT, WITHOUT ROWID;

-- Exchangers that clearly answered for a domain; two domains each at most.
CREATE TABLE served (
    exchanger INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    PRIMARY KEY (exchanger, domain)
) STRICT, WITHOUT ROWID;

-- Who we were.
CREATE TABLE egress (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;

-- Unknown recipients asked about at an operator, by the minute of the answer; older ones than a day are taken away.
CREATE TABLE spent (
    egress INTEGER NOT NULL,
    operator TEXT NOT NULL,
    minute INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    PRIMARY KEY (egress, operator, minute)
) STRICT, WITHOUT ROWID;

-- The vocabulary.
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
