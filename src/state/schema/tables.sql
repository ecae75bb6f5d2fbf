-- The tables of a state. It holds facts: what servers and the DNS answered. What a fact means is decided when it is read,
-- by the current policy.
--
-- The views (`views.sql`) are for users and keep their names and columns. Tables may change from version to version
-- (`PRAGMA user_version`); `migrations/` brings a state of an older version to this one.
--
-- Names and reply templates have the first 63 bits of their SHA-256 as `id`, so that an id needs no look-up. Times are
-- milliseconds since 1970 in UTC.

-- The network whose facts the state holds: the Internet, a scripted world, or a lab. One row.
CREATE TABLE namespace (name TEXT NOT NULL) STRICT;

-- A run over one list. A run without an end (`ended` is null) resumes when the same command comes again.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL,
    input TEXT NOT NULL,
    began INTEGER NOT NULL,
    -- The worklist holds every recipient that the run has to probe.
    worklist_complete INTEGER NOT NULL DEFAULT 0,
    ended INTEGER,
    -- Why no reply of the run is judged: `port_closed` or `refused_everywhere`.
    stopped_because TEXT,
    -- Keys of the lanes at which too many mailboxes vanished at the same time, one a line.
    anomalies TEXT,
    -- The first time at which a result of the run expires; and the time of the oldest evidence that it used.
    fresh_until INTEGER,
    oldest_evidence INTEGER,
    -- All results of the run were reported, whether it ended or not: the checks over all of them (mailboxes that vanish
    -- at the same time, a rejection of us everywhere) are done. Other runs use no `undeliverable` of a run before that.
    facts_published INTEGER NOT NULL DEFAULT 0,
    -- What the run was allowed: the age of the evidence that it used, and the networks beside the public ones.
    terms TEXT NOT NULL DEFAULT '',
    -- When and why a run without an end last stopped.
    paused INTEGER,
    paused_because TEXT
) STRICT;
CREATE INDEX run_identity ON run (identity);

-- Domains and hosts.
CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;

-- Texts of replies. U+0011 stands for the address that was probed, U+0012 for its local part, each U+001A for the next of
-- the reply's `parts`, which are separated by blanks.
CREATE TABLE reply_template (id INTEGER PRIMARY KEY, template TEXT NOT NULL) STRICT;

-- Where a domain receives mail: `hosts`, `null_mx`, `no_such_domain`, `no_mail_host`, `unroutable` or `failed`. `detail`
-- is the failure, or a line for each MX host: preference, name, addresses.
CREATE TABLE route (
    domain INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    looked_up INTEGER NOT NULL,
    run INTEGER NOT NULL,
    -- Until when its MX hosts may be connected to, by the TTL of the answers; null where that is not known.
    valid_until INTEGER
) STRICT;

-- Recipients that a run has still to probe, by domain, in the order of the list.
CREATE TABLE worklist (
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    position INTEGER NOT NULL,
    local TEXT NOT NULL,
    PRIMARY KEY (run, domain, position)
) STRICT, WITHOUT ROWID;

-- Other spellings of recipients in the list of a run, which differ in ASCII case. Only `probed_as` is probed, unless it is
-- found undeliverable: then each spelling is.
CREATE TABLE spelling (
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    local TEXT NOT NULL,
    position INTEGER NOT NULL,
    probed_as TEXT NOT NULL,
    PRIMARY KEY (run, domain, local)
) STRICT, WITHOUT ROWID;

-- Recipients of a run's list with a stored result that the run reuses, at domains of its worklist, by domain, in the order of
-- the list. Those whose MX host is dropped by a look-up are probed again.
CREATE TABLE reused (
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    position INTEGER NOT NULL,
    local TEXT NOT NULL,
    PRIMARY KEY (run, domain, position)
) STRICT, WITHOUT ROWID;

-- Each reply to a probe that counts. `kind` of the recipient: 0 of the list, 1 random, 2 `postmaster`.
CREATE TABLE reply (
    domain INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    local TEXT NOT NULL,
    at INTEGER NOT NULL,
    run INTEGER NOT NULL,
    egress INTEGER NOT NULL,
    mx_host INTEGER NOT NULL,
    stage TEXT NOT NULL,
    code INTEGER NOT NULL,
    template INTEGER NOT NULL,
    parts TEXT,
    PRIMARY KEY (domain, kind, local, at)
) STRICT, WITHOUT ROWID;

-- What kept recipients from getting a reply, shared by all of them: a finding, or a reply about something else.
CREATE TABLE obstacle (
    id INTEGER PRIMARY KEY,
    mx_host INTEGER NOT NULL,
    at INTEGER NOT NULL,
    finding TEXT,
    stage TEXT,
    code INTEGER,
    template INTEGER,
    parts TEXT
) STRICT;

-- The result of a recipient: the evidence besides the replies of its run, and the verdict that follows from both.
CREATE TABLE result (
    domain INTEGER NOT NULL,
    local TEXT NOT NULL,
    run INTEGER NOT NULL,
    -- Whether the domain is a catch-all: `yes`, `no.control`, `no.unclear_control`, `no.listed`, `unclear`, `failed`.
    catch_all TEXT,
    -- With `yes` the time of the random recipient's reply, with `failed` the obstacle.
    catch_all_evidence INTEGER,
    -- What the positive control showed: `accepted`, `same_words`, `silent`.
    positive_control TEXT,
    obstacle INTEGER,
    -- Why it was not probed to the end, and when it may be.
    not_probed_because TEXT,
    retry_at INTEGER,
    -- The verdict that was reported last, for the views and to know which recipients need no probe.
    reason TEXT,
    checked INTEGER,
    expires INTEGER,
    -- When the recipient was last found deliverable, whatever later probes found.
    last_accepted INTEGER,
    PRIMARY KEY (domain, local)
) STRICT, WITHOUT ROWID;

-- Domains of which an MX host accepted or rejected a recipient in a run; at most two for each host and run.
CREATE TABLE served_domain (
    mx_host INTEGER NOT NULL,
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    PRIMARY KEY (mx_host, run, domain)
) STRICT, WITHOUT ROWID;

-- HELO name, sender and path of connections. `origin` is the hash of the path alone: receivers count by it.
CREATE TABLE egress (id INTEGER PRIMARY KEY, name TEXT NOT NULL, origin INTEGER) STRICT;

-- Unknown recipients that were probed at a provider from an origin, by the minute of the reply; for one day.
CREATE TABLE usage (
    origin INTEGER NOT NULL,
    provider TEXT NOT NULL,
    minute INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    PRIMARY KEY (origin, provider, minute)
) STRICT, WITHOUT ROWID;

-- The replies of a provider about recipients of the list in a run without an end: mailboxes that vanish at the same time
-- show in all of them.
CREATE TABLE tally (
    run INTEGER NOT NULL,
    provider TEXT NOT NULL,
    probed INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    -- Of those probed, the recipients that were deliverable in recent runs; and of these, the unknown ones.
    recently_deliverable INTEGER NOT NULL,
    recently_deliverable_unknown INTEGER NOT NULL,
    PRIMARY KEY (run, provider)
) STRICT, WITHOUT ROWID;

-- The reason that was last reported for each row of any list, so that `--changed-only` writes the changes alone. It is no
-- evidence. `id` is the hash of the row's address as it was probed (`local@domain`), or of its cell where that is none.
CREATE TABLE last_reported (
    id INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    -- The run that reported this reason first, and the reason before it; null where there was none.
    run INTEGER NOT NULL,
    before TEXT
) STRICT;

-- The reasons that this version knows, for the views.
CREATE TABLE reason (
    word TEXT PRIMARY KEY,
    verdict TEXT NOT NULL,
    fault TEXT NOT NULL,
    sentence TEXT NOT NULL
) STRICT, WITHOUT ROWID;
