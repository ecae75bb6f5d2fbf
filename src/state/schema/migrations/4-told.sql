-- All that a run found out was told, be it over or not: the guards that look at all of it (too many mailboxes gone at once,
-- everybody refuses us) have spoken. Until then no other run takes its word that a mailbox is gone.
ALTER TABLE run ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
UPDATE run SET told = 1 WHERE ended IS NOT NULL;

-- On which terms a run was made: how old what it used might be, and who might be connected to besides the public.
ALTER TABLE run ADD COLUMN terms TEXT NOT NULL DEFAULT '';

-- When an address was found deliverable last, whatever came of later questions.
ALTER TABLE settled ADD COLUMN accepted INTEGER;
UPDATE settled SET accepted = checked WHERE reason = 'accepted';

-- Exchangers that clearly answered for a domain in a run; two domains each at most.
DROP TABLE served;
UPDATE settled SET expires = NULL WHERE reason = 'domain_not_served';
UPDATE run SET fresh_until = 0;
CREATE TABLE served (
    exchanger INTEGER NOT NULL,
    run INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    PRIMARY KEY (exchanger, run, domain)
) STRICT, WITHOUT ROWID;

-- Where questions come from, by whatever name: whom others count. `spent` goes by it.
ALTER TABLE egress ADD COLUMN origin INTEGER;
DELETE FROM spent;
