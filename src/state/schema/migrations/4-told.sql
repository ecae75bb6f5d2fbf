-- All results of the run were reported, whether it ended or not: the checks over all of them are done. Other runs use no
-- `undeliverable` of a run before that.
ALTER TABLE run ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
UPDATE run SET told = 1 WHERE ended IS NOT NULL;

-- What the run was allowed: the age of the evidence that it used, and the networks beside the public ones.
ALTER TABLE run ADD COLUMN terms TEXT NOT NULL DEFAULT '';

-- When the recipient was last found deliverable, whatever later probes found.
ALTER TABLE settled ADD COLUMN accepted INTEGER;
UPDATE settled SET accepted = checked WHERE reason = 'accepted';

-- Domains of which an MX host accepted or rejected a recipient in a run; at most two for each host and run.
DROP TABLE served;
UPDATE settled SET expires = NULL WHERE reason = 'domain_not_served';
UPDATE run SET fresh_until = 0;
CREATE TABLE served (
    exchanger INTEGER NOT NULL,
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    PRIMARY KEY (exchanger, run, domain)
) STRICT, WITHOUT ROWID;

-- The path of connections without HELO name and sender: receivers count by it, so `spent` does.
ALTER TABLE egress ADD COLUMN origin INTEGER;
DELETE FROM spent;
