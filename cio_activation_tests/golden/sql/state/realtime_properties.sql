-- rows
SELECT
  cio_id,
  "cart_value_tier",
  "cart_stage",
  "winback_status",
  HASH("cart_value_tier", "cart_stage", "winback_status") AS "row_hash",
  HASH("cart_value_tier", "cart_stage", "winback_status") AS "hash_hubspot",
  HASH("cart_value_tier", "winback_status") AS "hash_pipedrive",
  CAST(0 AS UBIGINT) AS "hash_customerio",
  next_transition_at,
  source_hash,
  as_of
FROM (
  SELECT
    cio_id,
    CASE
      WHEN "cart_value" IS NULL OR ISNAN("cart_value")
      THEN NULL
      WHEN "cart_value" < CAST(75.0 AS DOUBLE)
      THEN 'low'
      WHEN "cart_value" < CAST(200.0 AS DOUBLE)
      THEN 'mid'
      ELSE 'high'
    END AS "cart_value_tier",
    CASE
      WHEN ARRAY_CONTAINS("unread:", 'cart_stage_raw')
      OR ARRAY_CONTAINS("unread:", 'cart_updated_at')
      THEN NULL
      ELSE CASE
        WHEN (
          (
            CASE
              WHEN "cart_updated_at" BETWEEN CAST('0001-01-01' AS TIMESTAMP) AND CAST('9999-12-31' AS TIMESTAMP)
              THEN CAST(GREATEST(0, (
                EPOCH_US(as_of) - EPOCH_US("cart_updated_at")
              ) // 3600000000) AS BIGINT)
            END
          ) >= 72
        )
        THEN 'none'
        WHEN (
          (
            "cart_stage_raw" IN ('cart', 'checkout')
          )
          AND (
            (
              CASE
                WHEN "cart_updated_at" BETWEEN CAST('0001-01-01' AS TIMESTAMP) AND CAST('9999-12-31' AS TIMESTAMP)
                THEN CAST(GREATEST(0, (
                  EPOCH_US(as_of) - EPOCH_US("cart_updated_at")
                ) // 3600000000) AS BIGINT)
              END
            ) >= 2
          )
        )
        THEN 'abandoned'
        WHEN (
          "cart_stage_raw" = 'checkout'
        )
        THEN 'checkout'
        WHEN (
          "cart_stage_raw" = 'cart'
        )
        THEN 'cart'
        ELSE 'none'
      END
    END AS "cart_stage",
    CASE
      WHEN ARRAY_CONTAINS("unread:", 'last_order_at')
      OR ARRAY_CONTAINS("unread:", 'winback_clicked_at')
      OR ARRAY_CONTAINS("unread:", 'winback_sent_at')
      THEN NULL
      ELSE CASE
        WHEN (
          "last_order_at" >= "winback_sent_at"
        )
        THEN 'converted'
        WHEN (
          (
            "winback_clicked_at" >= "winback_sent_at"
          )
          AND (
            (
              CASE
                WHEN "winback_clicked_at" BETWEEN CAST('0001-01-01' AS TIMESTAMP) AND CAST('9999-12-31' AS TIMESTAMP)
                THEN CAST(GREATEST(0, (
                  EPOCH_US(as_of) - EPOCH_US("winback_clicked_at")
                ) // 86400000000) AS BIGINT)
              END
            ) <= 30
          )
        )
        THEN 'clicked'
        WHEN (
          (
            CASE
              WHEN "winback_sent_at" BETWEEN CAST('0001-01-01' AS TIMESTAMP) AND CAST('9999-12-31' AS TIMESTAMP)
              THEN CAST(GREATEST(0, (
                EPOCH_US(as_of) - EPOCH_US("winback_sent_at")
              ) // 86400000000) AS BIGINT)
            END
          ) > 30
        )
        THEN 'expired'
        WHEN (
          NOT (
            "winback_sent_at" IS NULL
          )
        )
        THEN 'sent'
        ELSE 'none'
      END
    END AS "winback_status",
    CAST(LEAST(
      CASE
        WHEN "cart_updated_at" >= CAST('9000-01-01 00:00:00' AS TIMESTAMP)
        THEN NULL
        WHEN "cart_updated_at" > CAST('2025-12-31 22:15:00' AS TIMESTAMP)
        THEN "cart_updated_at" + TO_MICROSECONDS(7200000000)
        WHEN "cart_updated_at" > CAST('2025-12-29 00:15:00' AS TIMESTAMP)
        THEN "cart_updated_at" + TO_MICROSECONDS(259200000000)
      END,
      CASE
        WHEN "winback_clicked_at" >= CAST('9000-01-01 00:00:00' AS TIMESTAMP)
        THEN NULL
        WHEN "winback_clicked_at" > CAST('2025-12-01 00:15:00' AS TIMESTAMP)
        THEN "winback_clicked_at" + TO_MICROSECONDS(2678400000000)
      END,
      CASE
        WHEN "winback_sent_at" >= CAST('9000-01-01 00:00:00' AS TIMESTAMP)
        THEN NULL
        WHEN "winback_sent_at" > CAST('2025-12-01 00:15:00' AS TIMESTAMP)
        THEN "winback_sent_at" + TO_MICROSECONDS(2678400000000)
      END
    ) AS TIMESTAMP) AS next_transition_at,
    source_hash,
    as_of
  FROM (
    SELECT
      p.cio_id,
      p."cart_value",
      p."cart_stage_raw",
      p."cart_updated_at",
      p."last_order_at",
      p."winback_clicked_at",
      p."winback_sent_at",
      u.names AS "unread:",
      CASE WHEN u.names IS NULL THEN p.content_hash ELSE HASH(p.content_hash, u.names) END AS source_hash,
      CAST('2026-01-01 00:15:00' AS TIMESTAMP) AS as_of
    FROM raw.people_current AS p
    LEFT JOIN (
      SELECT
        cio_id,
        LIST_SORT(ARRAY_AGG("column")) AS names
      FROM (
        SELECT
          cio_id,
          "column"
        FROM raw.stale_cells
        WHERE
          relation = 'raw.people_live' AND last_good_at IS NULL
        UNION ALL
        SELECT
          cio_id,
          "column"
        FROM raw.stale_cells
        WHERE
          relation = 'raw.people'
          AND last_good_at IS NULL
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
      GROUP BY
        cio_id
    ) AS u
      ON u.cio_id = p.cio_id
  ) AS i
) AS v;
