-- plan
WITH entries AS (
  SELECT
    m.*
    REPLACE (COALESCE(m.exited_at, w.withdrawn_at) AS exited_at, COALESCE(m.exit_reason, CASE WHEN NOT w.withdrawn_at IS NULL THEN 'withdrawn' END) AS exit_reason),
    COALESCE(v.evidence, m.evidence) AS newest,
    MD5(CONCAT_WS(CHR(31), 'b223eefd', COALESCE(v.evidence, m.evidence))) AS content
  FROM (
    SELECT
      *
    FROM (
      SELECT
        *,
        rowid AS "@place"
      FROM audience.memberships
    )
    WHERE
      audience = 'vip_churn_risk'
  ) AS m
  LEFT JOIN (
    SELECT
      entry_id,
      ARG_MAX(evidence, as_of) AS evidence
    FROM (
      SELECT
        *,
        rowid AS "@place"
      FROM audience.current_evidence
    )
    WHERE
      audience = 'vip_churn_risk'
    GROUP BY
      entry_id
  ) AS v
    ON v.entry_id = m.entry_id
  LEFT JOIN (
    SELECT
      entry_id,
      MIN(happened_at) AS withdrawn_at
    FROM (
      SELECT
        *,
        rowid AS "@place"
      FROM feedback.acts
    )
    WHERE
      audience = 'vip_churn_risk' AND act = 'withdrawn'
    GROUP BY
      entry_id
  ) AS w
    ON w.entry_id = m.entry_id
), acts AS (
  SELECT
    *
  FROM (
    SELECT
      *,
      rowid AS "@place"
    FROM delivery.actions
  )
  WHERE
    destination = 'pipedrive' AND kind = 'activity' AND audience = 'vip_churn_risk'
), asked AS (
  SELECT
    e.*,
    x.record_id,
    x.about,
    x.shown
  FROM entries AS e
  LEFT JOIN acts AS x
    ON x.entry_id = e.entry_id
  WHERE
    e.exited_at IS NULL
    AND e.touch
    AND NOT e.ghost
    AND NOT e.baseline
    AND (
      x.entry_id IS NULL OR x.status = 'open' AND x.content IS DISTINCT FROM e.content
    )
), moments AS (
  SELECT
    e.entry_id,
    CAST(TO_JSON(
      LIST_SLICE(
        ARRAY_AGG(
          JSON_OBJECT('name', o.kind, 'at', o.occurred_at) ORDER BY o.occurred_at DESC, o.event_id
        ),
        1,
        2
      )
    ) AS JSON) AS told
  FROM asked AS e
  JOIN raw.moments AS o
    ON o.cio_id = e.cio_id AND o.occurred_at <= e.entered_at
  WHERE
    NOT COALESCE(o.machine, FALSE)
  GROUP BY
    e.entry_id
)
SELECT
  CASE x.status WHEN 'open' THEN 'withdraw_activity' ELSE 'tell_activity' END AS kind,
  x.cio_id,
  x.record_id,
  x.about AS target,
  CAST(JSON_OBJECT(
    'entry_id', x.entry_id,
    'audience', x.audience,
    'reason', e.exit_reason,
    'on_end', 'complete',
    'shown', x.shown
  ) AS TEXT) AS payload,
  '{}' AS keys,
  CAST(NULL AS UBIGINT) AS row_hash,
  1000 AS priority,
  CONCAT('vip_churn_risk', '/', x.status) AS batch_group,
  CAST(NULL AS TEXT) AS claim
FROM acts AS x
JOIN entries AS e
  ON e.entry_id = x.entry_id AND NOT e.exited_at IS NULL
WHERE
  x.status = 'open'
  OR x.status = 'taken_up'
  AND NOT x.told_end
  AND e.exit_reason <> 'done'
UNION ALL
SELECT
  'open_activity' AS kind,
  e.cio_id,
  CAST(NULL AS TEXT) AS record_id,
  l.record_id AS target,
  CAST(JSON_OBJECT(
    'entry_id', e.entry_id,
    'audience', 'vip_churn_risk',
    'entered_at', e.entered_at,
    'segment', (
      SELECT
        MAX(name)
      FROM raw.segments
      WHERE
        segment_id = 6
    ),
    'evidence', CAST(e.newest AS JSON),
    'moments', o.told,
    'content', e.content,
    'owner_id', a.owner_id,
    'owner_from', a.owner_from,
    'queue', a.queue,
    'due_at', a.due_at
  ) AS TEXT) AS payload,
  '{}' AS keys,
  CAST(NULL AS UBIGINT) AS row_hash,
  0 AS priority,
  'vip_churn_risk/open_activity' AS batch_group,
  CONCAT('activity:', e.entry_id, ':', 1) AS claim
FROM asked AS e
JOIN (
  SELECT
    *,
    rowid AS "@place"
  FROM audience.assignments
) AS a
  ON a.entry_id = e.entry_id
JOIN (
  SELECT
    *,
    rowid AS "@place"
  FROM delivery.links
) AS l
  ON l.destination = 'pipedrive' AND l.cio_id = e.cio_id AND NOT l.record_id IS NULL
LEFT JOIN moments AS o
  ON o.entry_id = e.entry_id
WHERE
  e.record_id IS NULL AND COALESCE(a.destination = 'pipedrive', TRUE)
UNION ALL
SELECT
  'change_activity',
  e.cio_id,
  e.record_id,
  e.about,
  CAST(JSON_OBJECT(
    'entry_id', e.entry_id,
    'audience', 'vip_churn_risk',
    'entered_at', e.entered_at,
    'segment', (
      SELECT
        MAX(name)
      FROM raw.segments
      WHERE
        segment_id = 6
    ),
    'evidence', CAST(e.newest AS JSON),
    'moments', o.told,
    'content', e.content,
    'shown', e.shown
  ) AS TEXT),
  '{}',
  CAST(NULL AS UBIGINT),
  0,
  'vip_churn_risk/change_activity',
  CAST(NULL AS TEXT)
FROM asked AS e
LEFT JOIN moments AS o
  ON o.entry_id = e.entry_id
WHERE
  NOT e.record_id IS NULL;
