-- The views of a state, for users. Their names, columns and values stay as they are.
--   verdicts  one row for each address that was probed: its last verdict. Addresses that need no probe (no address, a domain
--             without mail, a disposable one) are in the results of a run only
--   attempts  one row for each reply to a probe, with its text
--   domains   one row for each domain: where it receives mail
--   runs      one row for each run; `ended_at` and `stopped_because` also of one that stopped early and can go on
-- Times are RFC 3339 in UTC. `catch_all` is `yes`, `no.control` (a random recipient was rejected), `no.unclear_control`,
-- `no.listed` (two listed ones were), `unclear` or `failed`; what is behind the point says how that is known.
DROP VIEW IF EXISTS verdicts;
DROP VIEW IF EXISTS attempts;
DROP VIEW IF EXISTS domains;
DROP VIEW IF EXISTS runs;

CREATE VIEW verdicts AS
SELECT result.local || '@' || name.name AS email,
    reason.verdict,
    result.reason,
    reason.fault,
    strftime('%Y-%m-%dT%H:%M:%SZ', result.checked / 1000, 'unixepoch') AS checked_at,
    strftime('%Y-%m-%dT%H:%M:%SZ', result.expires / 1000, 'unixepoch') AS expires_at,
    result.catch_all,
    result.run,
    result.domain AS domain_id
FROM result
JOIN name ON name.id = result.domain
LEFT JOIN reason ON reason.word = result.reason;

CREATE VIEW attempts AS
SELECT reply.local || '@' || domain.name AS email,
    CASE reply.kind WHEN 0 THEN 'listed' WHEN 1 THEN 'made_up' ELSE 'postmaster' END AS who,
    strftime('%Y-%m-%dT%H:%M:%SZ', reply.at / 1000, 'unixepoch') AS at,
    mx_host.name AS mx_host,
    egress.name AS egress,
    reply.stage,
    reply.code,
    (WITH RECURSIVE filled (text, parts) AS (
        SELECT replace(replace(reply_template.template, char(17), reply.local || '@' || domain.name),
                char(18), reply.local),
            coalesce(reply.parts, '') || ' '
        UNION ALL
        SELECT substr(text, 1, instr(text, char(26)) - 1)
                || substr(parts, 1, instr(parts, ' ') - 1)
                || substr(text, instr(text, char(26)) + 1),
            substr(parts, instr(parts, ' ') + 1)
        FROM filled WHERE instr(text, char(26)) > 0
    ) SELECT text FROM filled WHERE instr(text, char(26)) = 0) AS text,
    reply.run,
    reply.domain AS domain_id
FROM reply
JOIN name AS domain ON domain.id = reply.domain
JOIN name AS mx_host ON mx_host.id = reply.mx_host
JOIN reply_template ON reply_template.id = reply.template
LEFT JOIN egress ON egress.id = reply.egress;

CREATE VIEW domains AS
SELECT name.name AS domain, route.kind AS route, route.detail,
    strftime('%Y-%m-%dT%H:%M:%SZ', route.looked_up / 1000, 'unixepoch') AS looked_up_at
FROM route JOIN name ON name.id = route.domain;

CREATE VIEW runs AS
SELECT run.id, run.input,
    strftime('%Y-%m-%dT%H:%M:%SZ', run.began / 1000, 'unixepoch') AS began_at,
    strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(run.ended, run.paused) / 1000, 'unixepoch') AS ended_at,
    coalesce(run.stopped_because, CASE WHEN run.ended IS NULL THEN run.paused_because END) AS stopped_because,
    (SELECT count(*) FROM worklist WHERE worklist.run = run.id) AS still_to_ask
FROM run;
