-- What is asked about one person, each view with the rows of one kind of fact; and until when rules were used.

-- Made anew instead of altered: DuckDB before 2.0 commits no table that was altered and written to.
CREATE TABLE audience.activations_before AS FROM audience.activations;
DROP TABLE audience.activations;
CREATE TABLE audience.activations (
    activation VARCHAR,       -- fingerprint
    first_used TIMESTAMP,     -- as-of of the first window it decided
    rules      VARCHAR,       -- JSON
    last_used  TIMESTAMP      -- as-of of the newest window it decided
);
INSERT INTO audience.activations BY NAME
SELECT activation, first_used, rules,
    coalesce((SELECT max(d.as_of) FROM audience.decisions AS d WHERE d.activation = b.activation), first_used) AS last_used
FROM audience.activations_before AS b;
DROP TABLE audience.activations_before;

-- Every decision of a person, with what an entry rested on. Entries and ends of releases that kept no decisions, too.
CREATE VIEW outcome.why_decisions AS
SELECT d.cio_id, d.as_of, d.audience, d.version, d.decision, d.code, d.detail, m.evidence, d.entry_id,
    d.segment, d.segment_name, d.snapshot, d.lane, d.window_key, d.run_id, d.activation
FROM audience.decisions AS d
LEFT JOIN audience.memberships AS m ON m.cio_id = d.cio_id AND m.entry_id = d.entry_id
UNION ALL
SELECT m.cio_id, m.entered_at, m.audience, m.version, 'entered', NULL, NULL, m.evidence, m.entry_id,
    NULL, NULL, NULL, NULL, m.entry_window, NULL, m.activation
FROM audience.memberships AS m
WHERE NOT EXISTS (FROM audience.decisions AS d
    WHERE d.cio_id = m.cio_id AND d.entry_id = m.entry_id AND (d.decision = 'entered' OR d.code = 'holdout'))
UNION ALL
SELECT m.cio_id, m.exited_at, m.audience, m.version, 'left', m.exit_reason, NULL, m.evidence, m.entry_id,
    NULL, NULL, NULL, NULL, m.exit_window, NULL, m.activation
FROM audience.memberships AS m
WHERE m.exited_at IS NOT NULL AND NOT EXISTS (FROM audience.decisions AS d
    WHERE d.cio_id = m.cio_id AND d.entry_id = m.entry_id AND d.decision = 'left');

-- Every attempt to change something at a destination, and what that answered.
CREATE VIEW outcome.why_writes AS
SELECT cio_id, window_end AS as_of, destination, step, kind, record_id, target, payload, "end", reason, status, request_id,
    intent_at, ended_at, operation_id, plan_id, lane, window_key, run_id
FROM delivery.ledger;

-- What humans did with what they were asked to do.
CREATE VIEW outcome.why_acts AS
SELECT cio_id, happened_at AS as_of, act, until, detail, destination, kind, record_id, audience, entry_id, seen_at
FROM feedback.acts;

-- What does not come through: refused by us, rejected by a vendor, changed by a human, claimed by somebody else, or waiting.
CREATE VIEW outcome.why_obstacles AS
SELECT cio_id, 'refused' AS obstacle, layer AS place, "column" AS about, reason, NULL AS other_cio_id, NULL::TIMESTAMP AS as_of,
    NULL::TIMESTAMP AS until, lane, window_key
FROM quarantine.rows
UNION ALL
SELECT cio_id, 'stale', relation, "column", reason, NULL, since, NULL, NULL, NULL FROM raw.stale_cells
UNION ALL
SELECT cio_id, 'key_clash', 'identity', match_key, reason, owner_cio_id, NULL, NULL, NULL, window_key
FROM identity.key_clashes
UNION ALL
SELECT cio_id, 'key_clash', destination, match_key, reason, owner_cio_id, noticed_at, NULL, NULL, NULL
FROM delivery.key_clashes
UNION ALL
SELECT cio_id, 'gone', destination, record_id, NULL, NULL, noticed_at, NULL, NULL, NULL FROM delivery.gone_records
UNION ALL
SELECT cio_id, 'rejected', destination || '/' || step, coalesce(field, target), reason, NULL, NULL, next_try_at, lane, NULL
FROM delivery.rejected
UNION ALL
SELECT cio_id, 'conflict', destination || '/' || step, field, NULL, NULL, found_at, NULL, NULL, found_window
FROM delivery.conflicts
UNION ALL
SELECT cio_id, 'deferred', destination || '/' || step, target, NULL, NULL, since, NULL, NULL, NULL FROM delivery.deferred;
