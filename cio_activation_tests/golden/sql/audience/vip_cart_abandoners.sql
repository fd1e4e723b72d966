-- eligible_now
SELECT DISTINCT
  cio_id,
  "purchase:at",
  "stale:columns",
  FALSE AS "life:in_journey",
  FALSE AS "life:out_of_scope",
  FALSE AS "life:muted",
  "cart_value" AS "life:rank_0"
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
WITH acts AS (
  SELECT
    entry_id,
    ANY_VALUE(cio_id) AS cio_id,
    MIN(happened_at) FILTER(WHERE
      act IN ('done', 'deleted')) AS handled_at,
    MIN(happened_at) FILTER(WHERE
      act = 'withdrawn') AS withdrawn_at,
    ARG_MAX(until, happened_at) FILTER(WHERE
      act = 'snoozed') AS snoozed_until
  FROM feedback.acts
  WHERE
    audience = 'vip_cart_abandoners'
  GROUP BY
    entry_id
), joined AS (
  SELECT
    j.*,
    baseline_before AS baseline_now,
    a.handled_at,
    a.withdrawn_at,
    p.ended,
    p.snoozed_until,
    COALESCE(t.touches, 0) AS touches,
    t.touched_by,
    t.touched_at,
    h.had_by,
    COALESCE(NOT i.deliverable, FALSE) AS undeliverable,
    x.place,
    x.record_owner,
    x.on_it_by,
    x.on_it_at,
    x.on_it_in,
    x.unseen,
    NOT y.cio_id IS NULL AS in_hands
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
        e."stale:columns" AS stale,
        e."life:in_journey" AS in_journey,
        e."life:out_of_scope" AS out_of_scope,
        e."life:muted" AS muted,
        e."life:rank_0"
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
        NULL,
        FALSE,
        FALSE,
        FALSE,
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
  ) AS j
  LEFT JOIN acts AS a
    ON a.entry_id = j.entry_id
  LEFT JOIN (
    SELECT
      m.cio_id,
      MAX(CASE WHEN NOT m.exited_at IS NULL THEN COALESCE(a.handled_at, m.exited_at) END) AS ended,
      MAX(a.snoozed_until) AS snoozed_until
    FROM (
      SELECT
        cio_id,
        entry_id,
        exited_at
      FROM audience.memberships
      WHERE
        audience = 'vip_cart_abandoners'
    ) AS m
    LEFT JOIN acts AS a
      ON a.entry_id = m.entry_id
    GROUP BY
      m.cio_id
  ) AS p
    ON p.cio_id = j.cio_id
  LEFT JOIN (
    SELECT
      cio_id,
      COUNT(*) AS touches,
      ARG_MAX(audience, entered_at) AS touched_by,
      MAX(entered_at) AS touched_at
    FROM audience.memberships
    WHERE
      touch AND entered_at > CAST('2025-12-25 00:15:00' AS TIMESTAMP)
    GROUP BY
      cio_id
  ) AS t
    ON t.cio_id = j.cio_id
  LEFT JOIN (
    SELECT
      cio_id,
      MIN(audience) AS had_by
    FROM audience.memberships
    WHERE
      exited_at IS NULL AND audience IN (NULL)
    GROUP BY
      cio_id
  ) AS h
    ON h.cio_id = j.cio_id
  LEFT JOIN identity.persons AS i
    ON i.cio_id = j.cio_id
  LEFT JOIN (
    SELECT
      cio_id,
      CASE
        WHEN NOT MAX(record_id) FILTER(WHERE
          destination = 'hubspot') IS NULL
        THEN 'hubspot'
        ELSE 'hubspot'
      END AS place,
      CASE place
        WHEN 'hubspot'
        THEN MAX(owner_id) FILTER(WHERE
          destination = 'hubspot')
      END AS record_owner,
      ARG_MIN(handled_by, destination) FILTER(WHERE
        NOT handled_by IS NULL) AS on_it_by,
      ARG_MIN(handled_at, destination) FILTER(WHERE
        NOT handled_by IS NULL) AS on_it_at,
      MIN(destination) FILTER(WHERE
        NOT handled_by IS NULL) AS on_it_in,
      NULLIF(
        LIST_FILTER(
          [
            CASE WHEN COUNT(*) FILTER(WHERE
              destination = 'hubspot') = 0 THEN 'hubspot' END
          ],
          LAMBDA p : NOT p IS NULL
        ),
        []
      ) AS unseen
    FROM feedback.contexts
    WHERE
      lane = 'realtime'
    GROUP BY
      cio_id
  ) AS x
    ON x.cio_id = j.cio_id
  LEFT JOIN (
    SELECT DISTINCT
      cio_id
    FROM delivery.actions
    WHERE
      audience = 'vip_cart_abandoners'
      AND kind IN ('task', 'activity')
      AND ended_at IS NULL
  ) AS y
    ON y.cio_id = j.cio_id
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
      WHEN NOT handled_at IS NULL
      THEN 'done'
      WHEN NOT withdrawn_at IS NULL
      THEN 'withdrawn'
      WHEN muted
      THEN 'suppressed'
      WHEN NOT member
      THEN 'left_segment'
      WHEN NOT eligible
      THEN 'gate'
      WHEN NOT had_by IS NULL
      THEN 'exclusive'
      WHEN entered_at <= CAST('2025-12-30 00:15:00' AS TIMESTAMP)
      AND COALESCE(snoozed_until <= CAST('2026-01-01 00:15:00' AS TIMESTAMP), TRUE)
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
    CASE
      WHEN NOT outside
      THEN NULL
      WHEN undeliverable
      THEN 'undeliverable'
      WHEN muted
      THEN 'suppressed'
      WHEN NOT stale IS NULL
      THEN 'stale_input'
      WHEN used_up
      THEN 'spent'
      WHEN ended > CAST('2025-12-25 00:15:00' AS TIMESTAMP)
      THEN 'cooldown'
      WHEN snoozed_until > CAST('2026-01-01 00:15:00' AS TIMESTAMP)
      THEN 'snoozed'
      WHEN NOT had_by IS NULL
      THEN 'exclusive'
      WHEN in_journey
      THEN 'journey'
      WHEN baseline_now
      THEN 'launch_baseline'
      WHEN out_of_scope
      THEN 'launch_scope'
      WHEN in_hands
      THEN 'being_handled'
      WHEN NOT on_it_by IS NULL
      THEN 'being_handled'
      WHEN touches >= 1
      THEN 'person_cap'
      WHEN NOT CASE WHEN place IS NULL THEN ['hubspot'] ELSE unseen END IS NULL
      THEN 'stale_input'
    END AS first_code
  FROM ending
), drawn AS (
  SELECT
    *,
    outside AND first_code IS NULL AS wants,
    (
      FALSE OR FALSE
    ) AS held_out
  FROM coded
), placed AS (
  SELECT
    *,
    first_code AS final_code
  FROM drawn
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
      WHEN final_code IS NULL
      THEN 'in'
      ELSE 'waiting'
    END AS stage,
    COALESCE(stage = 'in' AND outside, FALSE) AS enters,
    CASE
      WHEN NOT eligible OR left_here OR NOT exit_reason IS NULL AND NOT enters
      THEN NULL
      WHEN enters AND held_out OR NOT outside AND ghost_before
      THEN 'holdout'
      WHEN outside
      THEN final_code
    END AS code,
    CASE
      WHEN stage <> 'spent'
      THEN NULL
      WHEN before = 'spent'
      THEN spent_before
      ELSE CAST('2026-01-01 00:15:00' AS TIMESTAMP)
    END AS spent_at,
    baseline_now AS baseline
  FROM placed
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
  enters AND held_out AS ghost,
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
    WHEN exit_reason = 'done'
    THEN JSON_OBJECT('handled_at', handled_at)
    WHEN exit_reason = 'exclusive'
    THEN JSON_OBJECT('had_by', had_by)
    WHEN code = 'stale_input'
    THEN JSON_OBJECT(
      'stale', COALESCE(stale, CASE WHEN place IS NULL THEN ['hubspot'] ELSE unseen END)
    )
    WHEN code = 'cooldown'
    THEN JSON_OBJECT('ended', ended, 'until', ended + TO_MICROSECONDS(604800000000))
    WHEN code = 'snoozed'
    THEN JSON_OBJECT('until', snoozed_until)
    WHEN code = 'exclusive'
    THEN JSON_OBJECT('had_by', had_by)
    WHEN code = 'launch_limit'
    THEN JSON_OBJECT('max', 0)
    WHEN code = 'person_cap'
    THEN JSON_OBJECT('touches', touches, 'max', 1, 'last', touched_by, 'at', touched_at)
    WHEN code = 'being_handled'
    THEN JSON_OBJECT(
      'by', CASE WHEN in_hands THEN 'our_action' ELSE on_it_by END,
      'in', on_it_in,
      'at', on_it_at
    )
  END AS TEXT) AS detail
FROM staged
WHERE
  stage IS DISTINCT FROM before
  OR NOT exit_reason IS NULL
  OR code IS DISTINCT FROM code_before
  OR baseline IS DISTINCT FROM baseline_before;
