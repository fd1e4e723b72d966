-- plan
WITH retired AS (
  SELECT
    list_id,
    'retired:' || list_id AS owner,
    since
  FROM delivery.retired_lists
  WHERE
    destination = 'hubspot' AND ended_at IS NULL
), members AS (
  SELECT
    m.cio_id,
    m.record_id,
    m.audience AS owner
  FROM delivery.members AS m
  JOIN retired AS r
    ON m.destination = 'hubspot' AND m.audience = r.owner
)
SELECT
  'remove' AS kind,
  cio_id,
  record_id,
  owner AS target,
  '{}' AS payload,
  '{}' AS keys,
  CAST(NULL AS UBIGINT) AS row_hash,
  1000 AS priority,
  owner AS batch_group
FROM members
UNION ALL
SELECT
  'retire',
  'list:' || r.list_id,
  r.list_id,
  r.owner,
  '{}',
  '{}',
  CAST(NULL AS UBIGINT),
  0,
  'retire'
FROM retired AS r
ANTI JOIN members AS m
  ON m.owner = r.owner
WHERE
  r.since <= CAST('2025-12-03 05:00:00' AS TIMESTAMP);
