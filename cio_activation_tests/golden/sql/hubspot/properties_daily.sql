-- plan
SELECT
  c.*
  REPLACE (CASE
    WHEN c.kind = 'update' AND NOT COALESCE(l.stamped, FALSE)
    THEN 'stamp'
    ELSE c.kind
  END AS kind, CASE WHEN c.kind = 'create' THEN 'email:' || LEFT(MD5(l.looked_up_email), 16) END AS target, CASE WHEN c.kind = 'create' THEN 'create' ELSE 'update' END AS batch_group)
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
        d.*
      FROM (
        SELECT
          s.cio_id,
          l.record_id,
          s."hash_hubspot" AS row_hash,
          s."@place"
        FROM (
          SELECT
            *,
            rowid AS "@place"
          FROM state.daily_properties
        ) AS s
        JOIN (
          SELECT
            *,
            rowid AS "@place"
          FROM delivery.links
        ) AS l
          ON l.cio_id = s.cio_id
        WHERE
          l.destination = 'hubspot' AND NOT l.record_id IS NULL
        UNION ALL
        SELECT
          s.cio_id,
          NULL,
          s."hash_hubspot",
          s."@place"
        FROM (
          SELECT
            *,
            rowid AS "@place"
          FROM state.daily_properties
        ) AS s
        SEMI JOIN (
          SELECT
            q.cio_id
          FROM (
            SELECT
              *,
              rowid AS "@place"
            FROM delivery.links
          ) AS k
          JOIN (
            SELECT
              *,
              rowid AS "@place"
            FROM identity.persons
          ) AS q
            ON q.cio_id = k.cio_id
          WHERE
            k.destination = 'hubspot'
            AND k.record_id IS NULL
            AND q.deliverable
            AND q.email = k.looked_up_email
            AND TRUE
            AND NOT COALESCE(
              (
                q.cio_id IN (
                  SELECT
                    g.cio_id
                  FROM delivery.gone_records AS g
                  WHERE
                    g.destination = 'hubspot'
                )
                OR SHA256(q.email) IN (
                  SELECT
                    g.email_hash
                  FROM delivery.gone_records AS g
                  WHERE
                    g.destination = 'hubspot' AND NOT g.email_hash IS NULL
                )
              ),
              FALSE
            )
        ) AS p
          ON p.cio_id = s.cio_id
      ) AS d
      ANTI JOIN (
        SELECT
          *,
          rowid AS "@place"
        FROM delivery."shadow_hubspot_daily"
      ) AS s
        ON s.whole_hash = CASE WHEN NOT d.row_hash IS NULL THEN HASH(d.cio_id, d.record_id, d.row_hash) END
    )
    SELECT
      CASE WHEN d.record_id IS NULL THEN 'create' ELSE 'update' END AS kind,
      d.cio_id,
      d.record_id,
      d.row_hash,
      CASE WHEN d.record_id IS NULL THEN d."@keys" ELSE '{}' END AS keys,
      CAST(0 AS INT) AS priority,
      LIST_FILTER(
        [
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
          {'k': 'aov_tier', 'v': d."aov_tier", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_aov_tier"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."aov_tier" IS NULL
              ELSE d."aov_tier" IS DISTINCT FROM s."p_aov_tier"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|aov_tier|')
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
          {'k': 'order_frequency_tier', 'v': d."order_frequency_tier", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_order_frequency_tier"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."order_frequency_tier" IS NULL
              ELSE d."order_frequency_tier" IS DISTINCT FROM s."p_order_frequency_tier"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|order_frequency_tier|')
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
          {'k': 'second_purchase_due', 'v': d."second_purchase_due", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_second_purchase_due"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."second_purchase_due" IS NULL
              ELSE d."second_purchase_due" IS DISTINCT FROM s."p_second_purchase_due"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|second_purchase_due|')
            END
          )},
          {'k': 'last_category', 'v': d."last_category", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_last_category"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."last_category" IS NULL
              ELSE d."last_category" IS DISTINCT FROM s."p_last_category"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|last_category|')
            END
          )},
          {'k': 'top_category', 'v': d."top_category", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_top_category"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."top_category" IS NULL
              ELSE d."top_category" IS DISTINCT FROM s."p_top_category"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|top_category|')
            END
          )},
          {'k': 'vip', 'v': d."vip", 'b': CASE WHEN NOT (
            s.record_id IS DISTINCT FROM d.record_id
          ) THEN s."p_vip" END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."vip" IS NULL
              ELSE d."vip" IS DISTINCT FROM s."p_vip" OR CONTAINS(COALESCE(s.in_doubt, ''), '|vip|')
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
          )},
          {'k': 'return_risk', 'v': d."return_risk", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_return_risk"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."return_risk" IS NULL
              ELSE d."return_risk" IS DISTINCT FROM s."p_return_risk"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|return_risk|')
            END
          )},
          {'k': 'last_engaged_on', 'v': d."last_engaged_on", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_last_engaged_on"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."last_engaged_on" IS NULL
              ELSE d."last_engaged_on" IS DISTINCT FROM s."p_last_engaged_on"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|last_engaged_on|')
            END
          )}
        ],
        LAMBDA e : e.c
      ) AS changed,
      CAST(NULL AS TEXT) AS in_doubt
    FROM (
      SELECT
        s.cio_id,
        f.record_id,
        f.row_hash,
        CAST(TO_JSON(
          {'cio_id': s.cio_id, 'email': p.email, 'first_name': p.first_name, 'last_name': p.last_name, 'phone': p.phone}
        ) AS TEXT) AS "@keys",
        NULLIF(TRIM(CAST(s."lapse_bucket" AS TEXT)), '') AS "lapse_bucket",
        NULLIF(TRIM(CAST(s."aov_tier" AS TEXT)), '') AS "aov_tier",
        NULLIF(TRIM(CAST(s."ltv_tier" AS TEXT)), '') AS "ltv_tier",
        NULLIF(TRIM(CAST(s."order_frequency_tier" AS TEXT)), '') AS "order_frequency_tier",
        NULLIF(TRIM(CAST(s."reorder_window" AS TEXT)), '') AS "reorder_window",
        CASE s."second_purchase_due" WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END AS "second_purchase_due",
        NULLIF(CAST(s."last_category" AS TEXT), '') AS "last_category",
        NULLIF(CAST(s."top_category" AS TEXT), '') AS "top_category",
        CASE s."vip" WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END AS "vip",
        CASE s."churn_risk" WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END AS "churn_risk",
        CASE s."return_risk" WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END AS "return_risk",
        STRFTIME(CAST(s."last_engaged_on" AS DATE), '%Y-%m-%d') AS "last_engaged_on"
      FROM (
        SELECT
          *,
          rowid AS "@place"
        FROM state.daily_properties
        WHERE
          rowid IN (
            SELECT
              "@place"
            FROM differing
          )
      ) AS s
      JOIN differing AS f
        ON f."@place" = s."@place"
      JOIN (
        SELECT
          *
        FROM identity.persons
        WHERE
          rowid IN (
            SELECT
              rowid
            FROM identity.persons
            SEMI JOIN differing
              USING (cio_id)
          )
      ) AS p
        ON p.cio_id = s.cio_id
    ) AS d
    LEFT JOIN (
      SELECT
        *
      FROM delivery."shadow_hubspot_daily"
      WHERE
        rowid IN (
          SELECT
            rowid
          FROM delivery."shadow_hubspot_daily"
          SEMI JOIN differing
            USING (cio_id)
        )
    ) AS s
      ON s.cio_id = d.cio_id
  ) AS c
  WHERE
    LENGTH(changed) > 0 OR kind = 'create'
  UNION ALL BY NAME
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
          *,
          rowid AS "@place"
        FROM delivery."shadow_hubspot_daily"
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
      ) AS d
        ON k.cio_id = d.cio_id
    )
    SELECT
      s.cio_id,
      s.record_id,
      LIST_FILTER(
        [
          {'k': 'lapse_bucket', 'v': CAST(NULL AS TEXT), 'b': s."p_lapse_bucket", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|lapse_bucket|')},
          {'k': 'aov_tier', 'v': CAST(NULL AS TEXT), 'b': s."p_aov_tier", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|aov_tier|')},
          {'k': 'ltv_tier', 'v': CAST(NULL AS TEXT), 'b': s."p_ltv_tier", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|ltv_tier|')},
          {'k': 'order_frequency_tier', 'v': CAST(NULL AS TEXT), 'b': s."p_order_frequency_tier", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|order_frequency_tier|')},
          {'k': 'reorder_window', 'v': CAST(NULL AS TEXT), 'b': s."p_reorder_window", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|reorder_window|')},
          {'k': 'second_purchase_due', 'v': CAST(NULL AS TEXT), 'b': s."p_second_purchase_due", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|second_purchase_due|')},
          {'k': 'last_category', 'v': CAST(NULL AS TEXT), 'b': s."p_last_category", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|last_category|')},
          {'k': 'top_category', 'v': CAST(NULL AS TEXT), 'b': s."p_top_category", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|top_category|')},
          {'k': 'vip', 'v': CAST(NULL AS TEXT), 'b': s."p_vip", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|vip|')},
          {'k': 'churn_risk', 'v': CAST(NULL AS TEXT), 'b': s."p_churn_risk", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|churn_risk|')},
          {'k': 'return_risk', 'v': CAST(NULL AS TEXT), 'b': s."p_return_risk", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|return_risk|')},
          {'k': 'last_engaged_on', 'v': CAST(NULL AS TEXT), 'b': s."p_last_engaged_on", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|last_engaged_on|')}
        ],
        LAMBDA e : (
          NOT e.b IS NULL AND e.b <> CHR(1)
        ) OR e.q
      ) AS changed,
      CAST(NULL AS TEXT) AS in_doubt
    FROM delivery."shadow_hubspot_daily" AS s
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
LEFT JOIN (
  SELECT
    *,
    rowid AS "@place"
  FROM delivery.links
) AS l
  ON l.destination = 'hubspot' AND l.cio_id = c.cio_id;
