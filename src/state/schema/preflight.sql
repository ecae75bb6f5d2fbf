-- Made when they are first needed; no view has them.
-- When a preflight of an egress last found no fault.
CREATE TABLE IF NOT EXISTS preflight (egress TEXT PRIMARY KEY, passed INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- What a preflight found in runs that probed all the same (`--force`).
CREATE TABLE IF NOT EXISTS forced (run INTEGER NOT NULL, check_id TEXT NOT NULL, sentence TEXT NOT NULL) STRICT;
