-- eligible_now
SELECT DISTINCT
  cio_id,
  "purchase:at",
  "stale:columns"
FROM (
  SELECT
    p.cio_id,
    CAST('2026-01-01 00:15:00' AS TIMESTAMP) AS as_of,
    CAST("last_order_at" AS TIMESTAMP) AS "purchase:at",
    stale.names AS "stale:columns",
    realtime."cart_value_tier"
  FROM raw.people_current AS p
  LEFT JOIN state.realtime_properties AS realtime
    ON realtime.cio_id = p.cio_id
  LEFT JOIN (
    SELECT
      cio_id,
      LIST_SORT(ARRAY_AGG(DISTINCT name)) AS names
    FROM (
      SELECT
        cio_id,
        'cart_value_tier' AS name
      FROM (
        SELECT
          cio_id,
          "column"
        FROM raw.stale_cells
        WHERE
          relation = 'raw.people_live'
        UNION ALL
        SELECT
          cio_id,
          "column"
        FROM raw.stale_cells
        WHERE
          relation = 'raw.people'
          AND NOT cio_id IN (
            SELECT
              cio_id
            FROM raw.people_live
            WHERE
              cio_id IN (
                SELECT
                  cio_id
                FROM raw.stale_cells
              )
          )
      )
      WHERE
        "column" IS NULL OR "column" IN ('cart_value')
      UNION ALL
      SELECT
        cio_id,
        'cart_value_tier' AS name
      FROM (
        SELECT
          cio_id,
          "column"
        FROM raw.stale_cells
        WHERE
          relation = 'state.realtime_properties'
      )
      WHERE
        "column" IS NULL OR "column" IN ('cart_value_tier')
    )
    GROUP BY
      cio_id
  ) AS stale
    ON stale.cio_id = p.cio_id
  WHERE
    p.cio_id IN (
      SELECT
        cio_id
      FROM raw.memberships
      WHERE
        lane = 'realtime' AND segment_id = 2
    )
) AS i
WHERE
  (
    "cart_value_tier" IN ('mid', 'high')
  );

-- known
SELECT
  COALESCE(e.cio_id, o.cio_id) AS cio_id,
  COALESCE(e.since, o.entered_at) AS since,
  CASE
    WHEN NOT o.cio_id IS NULL
    THEN 'in'
    WHEN e.stage = 'in'
    THEN 'spent'
    ELSE e.stage
  END AS stage,
  e.bought_before,
  o.entered_at,
  o.version
FROM (
  SELECT
    *
  FROM audience.eligibility
  WHERE
    audience = 'high_intent_cart'
) AS e
FULL JOIN (
  SELECT
    *
  FROM audience.memberships
  WHERE
    audience = 'high_intent_cart' AND exited_at IS NULL
) AS o
  ON o.cio_id = e.cio_id;

-- decided
WITH joined AS (
  SELECT
    e.cio_id,
    TRUE AS eligible,
    TRUE AS present,
    TRUE AS member,
    e."purchase:at" AS bought_at,
    NOT k.cio_id IS NULL AS known,
    k.stage AS before,
    COALESCE(k.since, CAST('2026-01-01 00:15:00' AS TIMESTAMP)) AS since,
    CASE WHEN k.cio_id IS NULL THEN e."purchase:at" ELSE k.bought_before END AS bought_before,
    k.entered_at,
    k.version,
    NOT e."stale:columns" IS NULL AS stale
  FROM eligible_now AS e
  LEFT JOIN known AS k
    ON k.cio_id = e.cio_id
  UNION ALL
  SELECT
    k.cio_id,
    FALSE,
    NOT p.cio_id IS NULL,
    NOT m.cio_id IS NULL,
    p.bought_at,
    TRUE,
    k.stage,
    k.since,
    k.bought_before,
    k.entered_at,
    k.version,
    FALSE
  FROM known AS k
  JOIN (
    SELECT
      k.cio_id
    FROM known AS k
    ANTI JOIN eligible_now AS e
      ON e.cio_id = k.cio_id
  ) AS l
    ON l.cio_id = k.cio_id
  LEFT JOIN (
    SELECT DISTINCT
      cio_id
    FROM (
      SELECT
        cio_id
      FROM raw.memberships
      WHERE
        lane = 'realtime' AND segment_id = 2
    )
  ) AS m
    ON m.cio_id = k.cio_id
  LEFT JOIN (
    SELECT
      cio_id,
      CAST("last_order_at" AS TIMESTAMP) AS bought_at
    FROM raw.people_current
    WHERE
      cio_id IN (
        SELECT
          k.cio_id
        FROM known AS k
        ANTI JOIN eligible_now AS e
          ON e.cio_id = k.cio_id
      )
  ) AS p
    ON p.cio_id = k.cio_id
), judged AS (
  SELECT
    *,
    known
    AND NOT bought_at IS NULL
    AND CASE
      WHEN bought_before IS NULL
      THEN bought_at >= since - TO_MICROSECONDS(900000000)
      ELSE bought_at > bought_before
    END AS bought,
    entered_at <= CAST('2025-12-29 00:15:00' AS TIMESTAMP) AS expired,
    version IS NOT DISTINCT FROM 1 OR (
      before = 'in' AND FALSE
    ) AS same_version
  FROM joined
), staged AS (
  SELECT
    *,
    CASE
      WHEN NOT eligible
      THEN NULL
      WHEN before = 'spent' OR bought
      THEN 'spent'
      WHEN before = 'in' AND same_version
      THEN CASE WHEN expired THEN 'spent' ELSE 'in' END
      WHEN since <= CAST('2026-01-01 00:15:00' AS TIMESTAMP) AND NOT FALSE
      THEN 'in'
      ELSE 'waiting'
    END AS stage,
    CASE
      WHEN entered_at IS NULL
      THEN NULL
      WHEN NOT present
      THEN 'deleted'
      WHEN bought
      THEN 'purchase'
      WHEN NOT member
      THEN 'left_segment'
      WHEN NOT eligible
      THEN 'gate'
      WHEN NOT same_version
      THEN 'new_version'
      WHEN expired
      THEN 'expired'
    END AS exit_reason
  FROM judged
)
SELECT
  cio_id,
  since,
  bought_before,
  stage,
  exit_reason,
  COALESCE(stage = 'in' AND (
    before <> 'in' OR before IS NULL OR NOT same_version
  ), FALSE) AS enters
FROM staged
WHERE
  stage IS DISTINCT FROM before OR NOT exit_reason IS NULL;
