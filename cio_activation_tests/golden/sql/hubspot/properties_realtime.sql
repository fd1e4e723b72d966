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
          FROM state.realtime_properties
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
          FROM state.realtime_properties
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
        FROM delivery."shadow_hubspot_realtime"
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
          {'k': 'cart_value_tier', 'v': d."cart_value_tier", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_cart_value_tier"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."cart_value_tier" IS NULL
              ELSE d."cart_value_tier" IS DISTINCT FROM s."p_cart_value_tier"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|cart_value_tier|')
            END
          )},
          {'k': 'cart_stage', 'v': d."cart_stage", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_cart_stage"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."cart_stage" IS NULL
              ELSE d."cart_stage" IS DISTINCT FROM s."p_cart_stage"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|cart_stage|')
            END
          )},
          {'k': 'winback_status', 'v': d."winback_status", 'b': CASE
            WHEN NOT (
              s.record_id IS DISTINCT FROM d.record_id
            )
            THEN s."p_winback_status"
          END, 'c': (
            CASE
              WHEN s.record_id IS DISTINCT FROM d.record_id
              THEN NOT d.record_id IS NULL OR NOT d."winback_status" IS NULL
              ELSE d."winback_status" IS DISTINCT FROM s."p_winback_status"
              OR CONTAINS(COALESCE(s.in_doubt, ''), '|winback_status|')
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
        NULLIF(TRIM(CAST(s."cart_value_tier" AS TEXT)), '') AS "cart_value_tier",
        NULLIF(TRIM(CAST(s."cart_stage" AS TEXT)), '') AS "cart_stage",
        NULLIF(TRIM(CAST(s."winback_status" AS TEXT)), '') AS "winback_status"
      FROM (
        SELECT
          *,
          rowid AS "@place"
        FROM state.realtime_properties
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
      FROM delivery."shadow_hubspot_realtime"
      WHERE
        rowid IN (
          SELECT
            rowid
          FROM delivery."shadow_hubspot_realtime"
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
        FROM delivery."shadow_hubspot_realtime"
      ) AS k
      ANTI JOIN (
        SELECT
          cio_id
        FROM (
          SELECT
            *,
            rowid AS "@place"
          FROM state.realtime_properties
        )
      ) AS d
        ON k.cio_id = d.cio_id
    )
    SELECT
      s.cio_id,
      s.record_id,
      LIST_FILTER(
        [
          {'k': 'cart_value_tier', 'v': CAST(NULL AS TEXT), 'b': s."p_cart_value_tier", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|cart_value_tier|')},
          {'k': 'cart_stage', 'v': CAST(NULL AS TEXT), 'b': s."p_cart_stage", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|cart_stage|')},
          {'k': 'winback_status', 'v': CAST(NULL AS TEXT), 'b': s."p_winback_status", 'q': CONTAINS(COALESCE(s.in_doubt, ''), '|winback_status|')}
        ],
        LAMBDA e : (
          NOT e.b IS NULL AND e.b <> CHR(1)
        ) OR e.q
      ) AS changed,
      CAST(NULL AS TEXT) AS in_doubt
    FROM delivery."shadow_hubspot_realtime" AS s
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
