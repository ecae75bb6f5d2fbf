-- The views of a state, for users. Their names, columns and values stay as they are.
--   verdicts  one row for each address that was probed: its last verdict
--   attempts  one row for each reply to a probe, with its text
--   domains   one row for each domain: where it receives mail
--   runs      one row for each run
DROP VIEW IF EXISTS verdicts;
DROP VIEW IF EXISTS attempts;
DROP VIEW IF EXISTS domains;
DROP VIEW IF EXISTS runs;

CREATE VIEW verdicts AS
SELECT result.local || '@' || name.name AS email,
    reason.verdict,
    result.reason,
    reason.fault,
    datetime(result.checked / 1000, 'unixepoch') AS checked_at,
    datetime(result.expires / 1000, 'unixepoch') AS expires_at,
    result.catch_all,
    result.run,
    result.domain AS domain_id
FROM result
JOIN name ON name.id = result.domain
LEFT JOIN reason ON reason.word = result.reason;

CREATE VIEW attempts AS
SELECT reply.local || '@' || domain.name AS email,
    CASE reply.kind WHEN 0 THEN 'listed' WHEN 1 THEN 'made_up' ELSE 'postmaster' END AS who,
    datetime(reply.at / 1000, 'unixepoch') AS at,
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
    datetime(route.looked_up / 1000, 'unixepoch') AS looked_up_at
FROM route JOIN name ON name.id = route.domain;

CREATE VIEW runs AS
SELECT run.id, run.input,
    datetime(run.began / 1000, 'unixepoch') AS began_at,
    datetime(coalesce(run.ended, run.paused) / 1000, 'unixepoch') AS ended_at,
    coalesce(run.stopped_because, CASE WHEN run.ended IS NULL THEN run.paused_because END) AS stopped_because,
    (SELECT count(*) FROM worklist WHERE worklist.run = run.id) AS still_to_ask
FROM run;
