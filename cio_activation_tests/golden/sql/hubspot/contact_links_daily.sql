-- plan
SELECT
  'link' AS kind,
  p.cio_id,
  CAST(NULL AS TEXT) AS record_id,
  'email:' || LEFT(MD5(p.email), 16) AS target,
  '{}' AS payload,
  CAST(TO_JSON(
    {'cio_id': p.cio_id, 'email': p.email, 'was_gone': COALESCE(g.record_id, CASE WHEN l.matched_by = 'gone' THEN '' END)}
  ) AS TEXT) AS keys,
  CAST(NULL AS UBIGINT) AS row_hash,
  0 AS priority,
  'link' AS batch_group
FROM (
  WITH free AS MATERIALIZED (
    SELECT
      q.cio_id,
      q.email
    FROM (
      SELECT
        *,
        rowid AS "@place"
      FROM identity.persons
    ) AS q
    ANTI JOIN (
      SELECT
        cio_id
      FROM (
        SELECT
          *,
          rowid AS "@place"
        FROM delivery.links
      )
      WHERE
        destination = 'hubspot' AND NOT record_id IS NULL
    ) AS k
      ON k.cio_id = q.cio_id
    WHERE
      q.deliverable AND NOT q.email IS NULL
  )
  SELECT
    *
  FROM free
) AS p
SEMI JOIN (
  SELECT
    cio_id
  FROM (
    SELECT
      *,
      rowid AS "@place"
    FROM state.daily_properties
  )
) AS s
  ON s.cio_id = p.cio_id
LEFT JOIN (
  SELECT
    *,
    rowid AS "@place"
  FROM delivery.links
) AS l
  ON l.destination = 'hubspot' AND l.cio_id = p.cio_id
LEFT JOIN delivery.gone_records AS g
  ON g.destination = 'hubspot' AND g.cio_id = p.cio_id
WHERE
  l.cio_id IS NULL
  OR l.looked_up_email IS DISTINCT FROM p.email
  OR (
    FALSE AND g.in_bin IS NULL AND NOT g.record_id IS NULL
  )
  OR g.sought_at <= CAST('2025-12-03 05:00:00' AS TIMESTAMP)
UNION ALL
SELECT
  'link',
  p.cio_id,
  NULL,
  'record:' || l.record_id,
  '{}',
  CAST(TO_JSON(
    {'cio_id': p.cio_id, 'email': p.email, 'known': l.record_id, 'matched_by': l.matched_by}
  ) AS TEXT),
  CAST(NULL AS UBIGINT),
  0,
  'link'
FROM (
  SELECT
    *,
    rowid AS "@place"
  FROM delivery.links
) AS l
JOIN (
  SELECT
    q.cio_id,
    q.email
  FROM (
    SELECT
      *,
      rowid AS "@place"
    FROM identity.persons
  ) AS q
  WHERE
    q.deliverable AND NOT q.email IS NULL
) AS p
  ON p.cio_id = l.cio_id
WHERE
  l.destination = 'hubspot' AND NOT l.record_id IS NULL AND l.recheck;
