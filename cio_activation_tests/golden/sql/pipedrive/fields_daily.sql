-- plan
SELECT
  *
  REPLACE (CASE
    WHEN kind = 'update' AND JSON_EXISTS(payload, '$.id')
    THEN 'stamp'
    ELSE kind
  END AS kind, CASE WHEN kind = 'create' THEN 'after:' || (
    keys ->> '$.previous_record'
  ) END AS target)
FROM (
  SELECT
    kind,
    cio_id,
    record_id,
    CAST(NULL AS TEXT) AS target,
    CAST(TO_JSON(MAP_FROM_ENTRIES(LIST_TRANSFORM(changed, LAMBDA e : {'k': e.k, 'v': e.v}))) AS TEXT) AS payload,
    CAST(TO_JSON(
      MAP_FROM_ENTRIES(
        LIST_TRANSFORM(
          LIST_FILTER(changed, LAMBDA e : NOT e.b IS NULL AND e.b <> CHR(1)),
          LAMBDA e : {'k': e.k, 'v': e.b}
        )
      )
    ) AS TEXT) AS before,
    in_doubt,
    keys,
    row_hash,
    priority,
    kind AS batch_group,
    CASE
      WHEN kind = 'create'
      THEN CONCAT('person:', cio_id, ':after:' || NULLIF(keys ->> '$.previous_record', ''))
    END AS claim
  FROM (
    WITH differing AS MATERIALIZED (
      SELECT
        d.cio_id
      FROM (
        SELECT
          *
        FROM pd_desired
      ) AS d
      ANTI JOIN pd_acked AS s
        ON s.whole_hash = CASE WHEN NOT d.row_hash IS NULL THEN HASH(d.cio_id, d.record_id, d.row_hash) END
    )
    SELECT
      CASE WHEN d.record_id IS NULL THEN 'create' ELSE 'update' END AS kind,
      d.cio_id,
      d.record_id,
      d.row_hash,
      CASE WHEN d.record_id IS NULL THEN d.keys ELSE '{}' END AS keys,
      CAST(d.urgency AS INT) AS priority,
      LIST_FILTER(
        [
          {'k': 'id', 'v': d."id", 'b': CASE WHEN NOT (
            s.record_id IS DISTINCT FROM d.record_id
          ) THEN s."p_id" END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."id" IS NULL
              ELSE d."id" IS DISTINCT FROM s."p_id" OR CONTAINS(COALESCE(s.in_doubt, ''), '|id|')
            END
          )},
          {'k': 'audiences', 'v': d."audiences", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_audiences"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."audiences" IS NULL
              ELSE d."audiences" IS DISTINCT FROM s."p_audiences"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|audiences|')
            END
          )},
          {'k': 'lapse_bucket', 'v': d."lapse_bucket", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_lapse_bucket"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."lapse_bucket" IS NULL
              ELSE d."lapse_bucket" IS DISTINCT FROM s."p_lapse_bucket"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|lapse_bucket|')
            END
          )},
          {'k': 'ltv_tier', 'v': d."ltv_tier", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_ltv_tier"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."ltv_tier" IS NULL
              ELSE d."ltv_tier" IS DISTINCT FROM s."p_ltv_tier"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|ltv_tier|')
            END
          )},
          {'k': 'reorder_window', 'v': d."reorder_window", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_reorder_window"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."reorder_window" IS NULL
              ELSE d."reorder_window" IS DISTINCT FROM s."p_reorder_window"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|reorder_window|')
            END
          )},
          {'k': 'churn_risk', 'v': d."churn_risk", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_churn_risk"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."churn_risk" IS NULL
              ELSE d."churn_risk" IS DISTINCT FROM s."p_churn_risk"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|churn_risk|')
            END
          )}
        ],
        LAMBDA e : e.c
      ) AS changed,
      CAST(NULL AS TEXT) AS in_doubt
    FROM (
      SELECT
        *
      FROM (
        SELECT
          *
        FROM pd_desired
      )
      SEMI JOIN differing
        USING (cio_id)
    ) AS d
    LEFT JOIN (
      SELECT
        *
      FROM pd_acked
      WHERE
        rowid IN (
          SELECT
            rowid
          FROM pd_acked
          SEMI JOIN differing
            USING (cio_id)
        )
    ) AS s
      ON s.cio_id = d.cio_id
  ) AS c
  WHERE
    LENGTH(changed) > 0 OR kind = 'create'
)
UNION ALL BY NAME
SELECT
  c.*
  REPLACE (CAST(CASE
    WHEN JSON_EXISTS(c.payload, '$.audiences') AND NOT f.audiences IS NULL
    THEN JSON_MERGE_PATCH(c.payload, JSON_OBJECT('audiences', f.audiences))
    ELSE c.payload
  END AS TEXT) AS payload)
FROM (
  SELECT
    'clear' AS kind,
    cio_id,
    record_id,
    CAST(NULL AS TEXT) AS target,
    CAST(TO_JSON(MAP_FROM_ENTRIES(LIST_TRANSFORM(changed, LAMBDA e : {'k': e.k, 'v': e.v}))) AS TEXT) AS payload,
    CAST(TO_JSON(
      MAP_FROM_ENTRIES(
        LIST_TRANSFORM(
          LIST_FILTER(changed, LAMBDA e : NOT e.b IS NULL AND e.b <> CHR(1)),
          LAMBDA e : {'k': e.k, 'v': e.b}
        )
      )
    ) AS TEXT) AS before,
    in_doubt,
    '{}' AS keys,
    CAST(NULL AS UBIGINT) AS row_hash,
    1000 AS priority,
    'update' AS batch_group
  FROM (
    WITH gone AS MATERIALIZED (
      SELECT
        k."@place" AS place
      FROM (
        SELECT
          cio_id,
          rowid AS "@place"
        FROM pd_leaving
      ) AS k
      ANTI JOIN (
        SELECT
          cio_id
        FROM (
          SELECT
            *,
            rowid AS "@place"
          FROM state.daily_properties
        )
        WHERE
          cio_id IN (
            SELECT
              cio_id
            FROM (
              SELECT
                *,
                rowid AS "@place"
              FROM identity.persons
            )
          )
      ) AS d
        ON k.cio_id = d.cio_id
    )
    SELECT
      s.cio_id,
      s.record_id,
      LIST_FILTER(
        [
          {'k': 'id', 'v': CAST(NULL AS TEXT), 'b': s."p_id", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|id|')},
          {'k': 'audiences', 'v': CAST(NULL AS TEXT), 'b': s."p_audiences", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|audiences|')},
          {'k': 'lapse_bucket', 'v': CAST(NULL AS TEXT), 'b': s."p_lapse_bucket", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|lapse_bucket|')},
          {'k': 'ltv_tier', 'v': CAST(NULL AS TEXT), 'b': s."p_ltv_tier", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|ltv_tier|')},
          {'k': 'reorder_window', 'v': CAST(NULL AS TEXT), 'b': s."p_reorder_window", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|reorder_window|')},
          {'k': 'churn_risk', 'v': CAST(NULL AS TEXT), 'b': s."p_churn_risk", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|churn_risk|')},
          {'k': 'cart_value_tier', 'v': CAST(NULL AS TEXT), 'b': s."p_cart_value_tier", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|cart_value_tier|')},
          {'k': 'winback_status', 'v': CAST(NULL AS TEXT), 'b': s."p_winback_status", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|winback_status|')}
        ],
        LAMBDA e : (
          NOT e.b IS NULL AND e.b <> CHR(1)
        ) OR e.q
      ) AS changed,
      CAST(NULL AS TEXT) AS in_doubt
    FROM pd_leaving AS s
    WHERE
      s.rowid IN (
        SELECT
          place
        FROM gone
      )
  ) AS c
  WHERE
    LENGTH(changed) > 0
) AS c
LEFT JOIN pd_foreign AS f
  ON f.record_id = c.record_id;
