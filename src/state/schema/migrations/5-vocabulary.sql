-- Tables and columns get the names that they have in `tables.sql`, and what is new there is added.
--
-- SQLite refuses to rename what a view needs that it cannot rewrite. The views of this program are made again afterwards,
-- from `views.sql`. A view of the user's own stays as it is with `writable_schema`: one over the views works again then.
PRAGMA writable_schema = ON;
DROP VIEW verdicts;
DROP VIEW attempts;
DROP VIEW domains;
DROP VIEW runs;

ALTER TABLE universe RENAME TO namespace;

ALTER TABLE run RENAME COLUMN gathered TO worklist_complete;
ALTER TABLE run RENAME COLUMN shut TO stopped_because;
ALTER TABLE run RENAME COLUMN oldest TO oldest_evidence;
ALTER TABLE run RENAME COLUMN told TO facts_published;

ALTER TABLE text RENAME TO reply_template;
ALTER TABLE reply_template RENAME COLUMN text TO template;

ALTER TABLE roster RENAME TO worklist;
ALTER TABLE worklist RENAME COLUMN place TO position;

ALTER TABLE answer RENAME TO reply;
ALTER TABLE reply RENAME COLUMN who TO kind;
ALTER TABLE reply RENAME COLUMN exchanger TO mx_host;
ALTER TABLE reply RENAME COLUMN text TO template;

ALTER TABLE trouble RENAME TO obstacle;
ALTER TABLE obstacle RENAME COLUMN exchanger TO mx_host;
ALTER TABLE obstacle RENAME COLUMN text TO template;

ALTER TABLE settled RENAME TO result;
ALTER TABLE result RENAME COLUMN control TO catch_all_evidence;
ALTER TABLE result RENAME COLUMN positive TO positive_control;
ALTER TABLE result RENAME COLUMN trouble TO obstacle;
ALTER TABLE result RENAME COLUMN unprobed TO not_probed_because;
ALTER TABLE result RENAME COLUMN again TO retry_at;
ALTER TABLE result RENAME COLUMN accepted TO last_accepted;

ALTER TABLE served RENAME TO served_domain;
ALTER TABLE served_domain RENAME COLUMN exchanger TO mx_host;

ALTER TABLE spent RENAME TO usage;
ALTER TABLE usage RENAME COLUMN egress TO origin;
ALTER TABLE usage RENAME COLUMN operator TO provider;

ALTER TABLE tally RENAME COLUMN operator TO provider;
ALTER TABLE tally RENAME COLUMN asked TO probed;
ALTER TABLE tally RENAME COLUMN lately TO recently_deliverable;
ALTER TABLE tally RENAME COLUMN lately_gone TO recently_deliverable_unknown;

ALTER TABLE told RENAME TO last_reported;
PRAGMA writable_schema = OFF;

-- The TTL of older routes is not known: their domains are looked up again before a connection is made.
ALTER TABLE route ADD COLUMN valid_until INTEGER;
ALTER TABLE run ADD COLUMN paused INTEGER;
ALTER TABLE run ADD COLUMN paused_because TEXT;
CREATE TABLE reused (
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    position INTEGER NOT NULL,
    local TEXT NOT NULL,
    PRIMARY KEY (run, domain, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE spelling (
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    local TEXT NOT NULL,
    position INTEGER NOT NULL,
    probed_as TEXT NOT NULL,
    PRIMARY KEY (run, domain, local)
) STRICT, WITHOUT ROWID;

-- Two words of results have other names.
UPDATE result SET reason = 'provider_anomaly' WHERE reason = 'operator_anomaly';
UPDATE result SET not_probed_because = 'provider_paused' WHERE not_probed_because = 'operator_paused';
UPDATE last_reported SET reason = 'provider_anomaly' WHERE reason = 'operator_anomaly';
UPDATE last_reported SET before = 'provider_anomaly' WHERE before = 'operator_anomaly';
-- The words of this version are written when it opens the state.
DELETE FROM reason;
