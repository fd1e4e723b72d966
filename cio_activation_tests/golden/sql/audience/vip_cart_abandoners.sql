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
    p."cart_value",
    daily."ltv_tier"
  FROM raw.people_current AS p
  LEFT JOIN state.daily_properties AS daily
    ON daily.cio_id = p.cio_id
  LEFT JOIN (
    SELECT
      cio_id,
      LIST_SORT(ARRAY_AGG(DISTINCT name)) AS names
    FROM (
      SELECT
        cio_id,
        'cart_value' AS name
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
        'ltv_tier' AS name
      FROM (
        SELECT
          cio_id,
          "column"
        FROM raw.stale_cells
        WHERE
          relation = 'raw.people'
      )
      WHERE
        "column" IS NULL OR "column" IN ('total_spent')
      UNION ALL
      SELECT
        cio_id,
        'ltv_tier' AS name
      FROM (
        SELECT
          cio_id,
          "column"
        FROM raw.stale_cells
        WHERE
          relation = 'state.daily_properties'
      )
      WHERE
        "column" IS NULL OR "column" IN ('ltv_tier')
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
        lane = 'realtime' AND segment_id = 1
    )
) AS i
WHERE
  (
    (
      "cart_value" >= 200
    ) AND (
      "ltv_tier" IN ('gold', 'platinum')
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
  e.spent_at,
  e.code,
  e.baseline,
  o.entered_at,
  o.version,
  o.entry_id,
  o.ghost
FROM (
  SELECT
    *
  FROM audience.eligibility
  WHERE
    audience = 'vip_cart_abandoners'
) AS e
FULL JOIN (
  SELECT
    *
  FROM audience.memberships
  WHERE
    audience = 'vip_cart_abandoners' AND exited_at IS NULL
) AS o
  ON o.cio_id = e.cio_id;

-- decided
WITH joined AS (
  SELECT
    *,
    FALSE AS baseline_now,
    CAST(NULL AS TIMESTAMP) AS ended
  FROM (
    SELECT
      f.*,
      NOT l.cio_id IS NULL AS left_here
    FROM (
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
        k.entry_id,
        k.code AS code_before,
        k.spent_at AS spent_before,
        COALESCE(k.ghost, FALSE) AS ghost_before,
        COALESCE(k.baseline, FALSE) AS baseline_before,
        e."stale:columns" AS stale
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
        k.entry_id,
        k.code AS code_before,
        k.spent_at AS spent_before,
        COALESCE(k.ghost, FALSE) AS ghost_before,
        COALESCE(k.baseline, FALSE) AS baseline_before,
        NULL
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
            lane = 'realtime' AND segment_id = 1
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
    ) AS f
    LEFT JOIN (
      SELECT DISTINCT
        cio_id
      FROM audience.memberships
      WHERE
        audience = 'vip_cart_abandoners'
        AND exit_window = '2026-01-01'
        AND exited_at = CAST('2026-01-01 00:15:00' AS TIMESTAMP)
    ) AS l
      ON l.cio_id = f.cio_id
  )
), ending AS (
  SELECT
    *,
    CASE
      WHEN entered_at IS NULL
      THEN NULL
      WHEN NOT present
      THEN 'deleted'
      WHEN known
      AND NOT bought_at IS NULL
      AND CASE
        WHEN bought_before IS NULL
        THEN bought_at >= since - TO_MICROSECONDS(900000000)
        ELSE bought_at > bought_before
      END
      THEN 'purchase'
      WHEN NOT member
      THEN 'left_segment'
      WHEN NOT eligible
      THEN 'gate'
      WHEN version IS DISTINCT FROM 1
      THEN 'new_version'
      WHEN entered_at <= CAST('2025-12-30 00:15:00' AS TIMESTAMP)
      THEN 'expired'
    END AS exit_reason
  FROM joined
), coded AS (
  SELECT
    *,
    FALSE AS again,
    eligible
    AND (
      COALESCE(exit_reason IN ('purchase', 'done', 'expired', 'withdrawn'), FALSE)
      OR NOT again
      AND (
        known
        AND NOT bought_at IS NULL
        AND CASE
          WHEN bought_before IS NULL
          THEN bought_at >= since - TO_MICROSECONDS(900000000)
          ELSE bought_at > bought_before
        END
        OR COALESCE(before = 'spent', FALSE)
      )
    ) AS used_up,
    eligible AND (
      before IS DISTINCT FROM 'in' OR NOT exit_reason IS NULL
    ) AS outside,
    CASE WHEN NOT outside THEN NULL WHEN used_up THEN 'spent' END AS first_code
  FROM ending
), staged AS (
  SELECT
    *,
    CASE
      WHEN NOT eligible
      THEN NULL
      WHEN NOT outside
      THEN 'in'
      WHEN used_up
      THEN 'spent'
      WHEN first_code IS NULL
      THEN 'in'
      ELSE 'waiting'
    END AS stage,
    COALESCE(stage = 'in' AND outside, FALSE) AS enters,
    CASE
      WHEN NOT eligible OR left_here OR NOT exit_reason IS NULL AND NOT enters
      THEN NULL
      WHEN outside
      THEN first_code
    END AS code,
    CASE
      WHEN stage <> 'spent'
      THEN NULL
      WHEN before = 'spent'
      THEN spent_before
      ELSE CAST('2026-01-01 00:15:00' AS TIMESTAMP)
    END AS spent_at,
    baseline_now AS baseline
  FROM coded
)
SELECT
  cio_id,
  since,
  CASE WHEN again THEN bought_at ELSE bought_before END AS bought_before,
  baseline,
  spent_at,
  stage,
  code,
  exit_reason,
  enters,
  enters AND FALSE AS ghost,
  before,
  code_before,
  entry_id,
  CASE
    WHEN NOT eligible AND before <> 'in'
    THEN CASE
      WHEN NOT present
      THEN 'deleted'
      WHEN NOT member
      THEN 'left_segment'
      ELSE 'gate'
    END
  END AS drop_reason,
  CAST(CASE
    WHEN code = 'grace'
    THEN JSON_OBJECT('until', since + TO_MICROSECONDS(0))
    WHEN code = 'spent'
    THEN JSON_OBJECT('since', since)
  END AS TEXT) AS detail
FROM staged
WHERE
  stage IS DISTINCT FROM before
  OR NOT exit_reason IS NULL
  OR code IS DISTINCT FROM code_before
  OR baseline IS DISTINCT FROM baseline_before;
