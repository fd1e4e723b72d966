-- eligible_now
SELECT DISTINCT
  cio_id,
  "purchase:at",
  "stale:columns"
FROM (
  SELECT
    p.cio_id,
    CAST('2026-01-02 05:00:00' AS TIMESTAMP) AS as_of,
    CAST("last_order_at" AS TIMESTAMP) AS "purchase:at",
    stale.names AS "stale:columns",
    p."last_order_at",
    p."wismo_clicks_30d"
  FROM raw.people AS p
  LEFT JOIN (
    SELECT
      cio_id,
      LIST_SORT(ARRAY_AGG(DISTINCT name)) AS names
    FROM (
      SELECT
        cio_id,
        'last_order_at' AS name
      FROM (
        SELECT
          cio_id,
          "column"
        FROM raw.stale_cells
        WHERE
          relation = 'raw.people'
      )
      WHERE
        "column" IS NULL OR "column" IN ('last_order_at')
      UNION ALL
      SELECT
        cio_id,
        'wismo_clicks_30d' AS name
      FROM (
        SELECT
          cio_id,
          "column"
        FROM raw.stale_cells
        WHERE
          relation = 'raw.people'
      )
      WHERE
        "column" IS NULL OR "column" IN ('wismo_clicks_30d')
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
        lane = 'daily' AND segment_id = 9
    )
) AS i
WHERE
  (
    (
      "wismo_clicks_30d" >= 2
    )
    AND (
      (
        CASE
          WHEN "last_order_at" BETWEEN CAST('0001-01-01' AS TIMESTAMP) AND CAST('9999-12-31' AS TIMESTAMP)
          THEN CAST(GREATEST(0, (
            EPOCH_US(as_of) - EPOCH_US("last_order_at")
          ) // 86400000000) AS BIGINT)
        END
      ) <= 30
    )
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
    audience = 'asked_where_is_my_order'
) AS e
FULL JOIN (
  SELECT
    *
  FROM audience.memberships
  WHERE
    audience = 'asked_where_is_my_order' AND exited_at IS NULL
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
    COALESCE(k.since, CAST('2026-01-02 05:00:00' AS TIMESTAMP)) AS since,
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
        lane = 'daily' AND segment_id = 9
    )
  ) AS m
    ON m.cio_id = k.cio_id
  LEFT JOIN (
    SELECT
      cio_id,
      CAST("last_order_at" AS TIMESTAMP) AS bought_at
    FROM raw.people
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
    FALSE AS bought,
    entered_at <= CAST('2025-12-19 05:00:00' AS TIMESTAMP) AS expired,
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
      WHEN since <= CAST('2026-01-02 05:00:00' AS TIMESTAMP) AND NOT FALSE
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
