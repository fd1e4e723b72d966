-- plan
WITH inside AS (
  SELECT
    m.cio_id,
    l.record_id
  FROM (
    SELECT
      *,
      rowid AS "@place"
    FROM audience.memberships
  ) AS m
  JOIN (
    SELECT
      *,
      rowid AS "@place"
    FROM delivery.links
  ) AS l
    ON l.destination = 'hubspot' AND l.cio_id = m.cio_id AND NOT l.record_id IS NULL
  WHERE
    m.audience = 'vip_cart_abandoners' AND m.exited_at IS NULL AND NOT m.ghost
), known AS (
  SELECT
    cio_id,
    record_id,
    NOT acked_at IS NULL AS certain
  FROM (
    SELECT
      *,
      rowid AS "@place"
    FROM delivery.members
  )
  WHERE
    destination = 'hubspot' AND audience = 'vip_cart_abandoners'
)
SELECT
  'remove' AS kind,
  k.cio_id,
  k.record_id,
  'vip_cart_abandoners' AS target,
  '{}' AS payload,
  '{}' AS keys,
  CAST(NULL AS UBIGINT) AS row_hash,
  1000 AS priority,
  'vip_cart_abandoners' AS batch_group
FROM known AS k
ANTI JOIN inside AS i
  ON i.cio_id = k.cio_id AND i.record_id = k.record_id
UNION ALL
SELECT
  'add',
  i.cio_id,
  i.record_id,
  'vip_cart_abandoners',
  '{}',
  '{}',
  CAST(NULL AS UBIGINT),
  0,
  'vip_cart_abandoners'
FROM inside AS i
ANTI JOIN known AS k
  ON k.cio_id = i.cio_id AND k.record_id = i.record_id AND k.certain;
