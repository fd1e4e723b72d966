-- rows
SELECT
  cio_id,
  "lapse_bucket",
  "aov_tier",
  "ltv_tier",
  "order_frequency_tier",
  "reorder_window",
  "second_purchase_due",
  "last_category",
  "top_category",
  "vip",
  "churn_risk",
  "return_risk",
  "last_engaged_on",
  HASH(
    "lapse_bucket",
    "aov_tier",
    "ltv_tier",
    "order_frequency_tier",
    "reorder_window",
    "second_purchase_due",
    "last_category",
    "top_category",
    "vip",
    "churn_risk",
    "return_risk",
    "last_engaged_on"
  ) AS "row_hash",
  HASH(
    "lapse_bucket",
    "aov_tier",
    "ltv_tier",
    "order_frequency_tier",
    "reorder_window",
    "second_purchase_due",
    "last_category",
    "top_category",
    "vip",
    "churn_risk",
    "return_risk",
    "last_engaged_on"
  ) AS "hash_hubspot",
  HASH("lapse_bucket", "ltv_tier", "reorder_window", "churn_risk") AS "hash_pipedrive",
  CAST(0 AS UBIGINT) AS "hash_customerio",
  next_transition_at,
  source_hash,
  as_of
FROM (
  SELECT
    cio_id,
    CASE
      WHEN "last_order_at" IS NULL
      THEN NULL
      WHEN "last_order_at" > CAST('2025-12-02 05:00:00' AS TIMESTAMP)
      THEN '0-30'
      WHEN "last_order_at" > CAST('2025-10-03 05:00:00' AS TIMESTAMP)
      THEN '31-90'
      WHEN "last_order_at" > CAST('2025-07-05 05:00:00' AS TIMESTAMP)
      THEN '91-180'
      ELSE '181+'
    END AS "lapse_bucket",
    CASE
      WHEN "average_order_value" IS NULL OR ISNAN("average_order_value")
      THEN NULL
      WHEN "average_order_value" < CAST(20.0 AS DOUBLE)
      THEN 'low'
      WHEN "average_order_value" < CAST(35.0 AS DOUBLE)
      THEN 'mid'
      ELSE 'high'
    END AS "aov_tier",
    CASE
      WHEN "total_spent" IS NULL OR ISNAN("total_spent")
      THEN NULL
      WHEN "total_spent" < CAST(500.0 AS DOUBLE)
      THEN 'bronze'
      WHEN "total_spent" < CAST(1200.0 AS DOUBLE)
      THEN 'silver'
      WHEN "total_spent" < CAST(3000.0 AS DOUBLE)
      THEN 'gold'
      ELSE 'platinum'
    END AS "ltv_tier",
    CASE
      WHEN "median_days_between_orders" IS NULL OR ISNAN("median_days_between_orders")
      THEN NULL
      WHEN "median_days_between_orders" < CAST(4.0 AS DOUBLE)
      THEN 'several a week'
      WHEN "median_days_between_orders" < CAST(10.0 AS DOUBLE)
      THEN 'weekly'
      WHEN "median_days_between_orders" < CAST(25.0 AS DOUBLE)
      THEN 'monthly'
      ELSE 'rarely'
    END AS "order_frequency_tier",
    CASE
      WHEN CASE
        WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
        AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
        THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
      END IS NULL
      THEN NULL
      WHEN as_of < (
        CASE
          WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
          AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
          THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
        END + TO_MICROSECONDS(-259200000000)
      )
      THEN 'before'
      WHEN as_of < (
        CASE
          WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
          AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
          THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
        END + TO_MICROSECONDS(0)
      )
      THEN 'open'
      WHEN as_of < (
        CASE
          WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
          AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
          THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
        END + TO_MICROSECONDS(604800000000)
      )
      THEN 'due'
      ELSE 'overdue'
    END AS "reorder_window",
    CASE
      WHEN ARRAY_CONTAINS("unread:", 'first_order_at')
      OR ARRAY_CONTAINS("unread:", 'orders_count')
      THEN NULL
      ELSE COALESCE(
        (
          (
            "orders_count" = 1
          )
          AND (
            (
              CASE
                WHEN "first_order_at" BETWEEN CAST('0001-01-01' AS TIMESTAMP) AND CAST('9999-12-31' AS TIMESTAMP)
                THEN CAST(GREATEST(0, (
                  EPOCH_US(as_of) - EPOCH_US("first_order_at")
                ) // 86400000000) AS BIGINT)
              END
            ) BETWEEN 21 AND 35
          )
        ),
        FALSE
      )
    END AS "second_purchase_due",
    CAST("last_order_category" AS TEXT) AS "last_category",
    CAST("most_bought_category" AS TEXT) AS "top_category",
    CASE
      WHEN ARRAY_CONTAINS("unread:", 'total_spent')
      THEN NULL
      ELSE COALESCE((
        "total_spent" >= 3000
      ), FALSE)
    END AS "vip",
    CASE
      WHEN ARRAY_CONTAINS("unread:", 'last_order_at')
      OR ARRAY_CONTAINS("unread:", 'total_spent')
      THEN NULL
      ELSE COALESCE(
        (
          (
            "total_spent" >= 1200
          )
          AND (
            (
              CASE
                WHEN "last_order_at" BETWEEN CAST('0001-01-01' AS TIMESTAMP) AND CAST('9999-12-31' AS TIMESTAMP)
                THEN CAST(GREATEST(0, (
                  EPOCH_US(as_of) - EPOCH_US("last_order_at")
                ) // 86400000000) AS BIGINT)
              END
            ) >= 60
          )
        ),
        FALSE
      )
    END AS "churn_risk",
    CASE
      WHEN ARRAY_CONTAINS("unread:", 'last_refund_at')
      OR ARRAY_CONTAINS("unread:", 'refund_count')
      THEN NULL
      ELSE COALESCE(
        (
          (
            "refund_count" >= 1
          )
          AND (
            (
              CASE
                WHEN "last_refund_at" BETWEEN CAST('0001-01-01' AS TIMESTAMP) AND CAST('9999-12-31' AS TIMESTAMP)
                THEN CAST(GREATEST(0, (
                  EPOCH_US(as_of) - EPOCH_US("last_refund_at")
                ) // 86400000000) AS BIGINT)
              END
            ) < 30
          )
        ),
        FALSE
      )
    END AS "return_risk",
    CAST(CASE
      WHEN "last_clicked_at" >= CAST('2027-01-01 00:00:00' AS TIMESTAMP)
      THEN TIMEZONE('America/New_York', TIMEZONE('UTC', "last_clicked_at"))
      WHEN "last_clicked_at" >= CAST('2026-11-01 06:00:00' AS TIMESTAMP)
      THEN "last_clicked_at" + TO_MICROSECONDS(-18000000000)
      WHEN "last_clicked_at" >= CAST('2026-03-08 07:00:00' AS TIMESTAMP)
      THEN "last_clicked_at" + TO_MICROSECONDS(-14400000000)
      WHEN "last_clicked_at" >= CAST('2025-11-02 06:00:00' AS TIMESTAMP)
      THEN "last_clicked_at" + TO_MICROSECONDS(-18000000000)
      WHEN "last_clicked_at" >= CAST('2025-03-09 07:00:00' AS TIMESTAMP)
      THEN "last_clicked_at" + TO_MICROSECONDS(-14400000000)
      WHEN "last_clicked_at" >= CAST('2024-11-03 06:00:00' AS TIMESTAMP)
      THEN "last_clicked_at" + TO_MICROSECONDS(-18000000000)
      WHEN "last_clicked_at" >= CAST('2024-03-10 07:00:00' AS TIMESTAMP)
      THEN "last_clicked_at" + TO_MICROSECONDS(-14400000000)
      WHEN "last_clicked_at" >= CAST('2023-11-05 06:00:00' AS TIMESTAMP)
      THEN "last_clicked_at" + TO_MICROSECONDS(-18000000000)
      WHEN "last_clicked_at" >= CAST('2023-03-12 07:00:00' AS TIMESTAMP)
      THEN "last_clicked_at" + TO_MICROSECONDS(-14400000000)
      WHEN "last_clicked_at" >= CAST('2023-01-01 00:00:00' AS TIMESTAMP)
      THEN "last_clicked_at" + TO_MICROSECONDS(-18000000000)
      ELSE TIMEZONE('America/New_York', TIMEZONE('UTC', "last_clicked_at"))
    END AS DATE) AS "last_engaged_on",
    CAST(LEAST(
      CASE
        WHEN "last_order_at" >= CAST('9000-01-01 00:00:00' AS TIMESTAMP)
        THEN NULL
        WHEN "last_order_at" > CAST('2025-12-02 05:00:00' AS TIMESTAMP)
        THEN "last_order_at" + TO_MICROSECONDS(2678400000000)
        WHEN "last_order_at" > CAST('2025-10-03 05:00:00' AS TIMESTAMP)
        THEN "last_order_at" + TO_MICROSECONDS(7862400000000)
        WHEN "last_order_at" > CAST('2025-07-05 05:00:00' AS TIMESTAMP)
        THEN "last_order_at" + TO_MICROSECONDS(15638400000000)
      END,
      CASE
        WHEN (
          CASE
            WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
            AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
            THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
          END + TO_MICROSECONDS(-259200000000)
        ) > as_of
        THEN (
          CASE
            WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
            AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
            THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
          END + TO_MICROSECONDS(-259200000000)
        )
      END,
      CASE
        WHEN (
          CASE
            WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
            AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
            THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
          END + TO_MICROSECONDS(0)
        ) > as_of
        THEN (
          CASE
            WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
            AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
            THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
          END + TO_MICROSECONDS(0)
        )
      END,
      CASE
        WHEN (
          CASE
            WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
            AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
            THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
          END + TO_MICROSECONDS(604800000000)
        ) > as_of
        THEN (
          CASE
            WHEN "last_order_at" > CAST('0001-01-01 00:00:00' AS TIMESTAMP)
            AND "last_order_at" < CAST('9000-01-01 00:00:00' AS TIMESTAMP)
            THEN "last_order_at" + TO_MICROSECONDS(CAST(ROUND("gap:reorder_window" * 86400000000) AS BIGINT))
          END + TO_MICROSECONDS(604800000000)
        )
      END,
      CASE
        WHEN "first_order_at" >= CAST('9000-01-01 00:00:00' AS TIMESTAMP)
        THEN NULL
        WHEN "first_order_at" > CAST('2025-12-12 05:00:00' AS TIMESTAMP)
        THEN "first_order_at" + TO_MICROSECONDS(1814400000000)
        WHEN "first_order_at" > CAST('2025-11-27 05:00:00' AS TIMESTAMP)
        THEN "first_order_at" + TO_MICROSECONDS(3110400000000)
      END,
      CASE
        WHEN "last_order_at" >= CAST('9000-01-01 00:00:00' AS TIMESTAMP)
        THEN NULL
        WHEN "last_order_at" > CAST('2025-11-03 05:00:00' AS TIMESTAMP)
        THEN "last_order_at" + TO_MICROSECONDS(5184000000000)
      END,
      CASE
        WHEN "last_refund_at" >= CAST('9000-01-01 00:00:00' AS TIMESTAMP)
        THEN NULL
        WHEN "last_refund_at" > CAST('2025-12-03 05:00:00' AS TIMESTAMP)
        THEN "last_refund_at" + TO_MICROSECONDS(2592000000000)
      END
    ) AS TIMESTAMP) AS next_transition_at,
    source_hash,
    as_of
  FROM (
    SELECT
      p.cio_id,
      p."last_order_at",
      p."average_order_value",
      p."total_spent",
      p."median_days_between_orders",
      p."last_order_category",
      p."first_order_at",
      p."orders_count",
      p."most_bought_category",
      p."last_refund_at",
      p."refund_count",
      p."last_clicked_at",
      COALESCE(
        CASE
          WHEN CAST(p."median_days_between_orders" AS DOUBLE) > 0
          AND CAST(p."median_days_between_orders" AS DOUBLE) <= 36500
          THEN CAST(p."median_days_between_orders" AS DOUBLE)
        END,
        COALESCE(
          "by:reorder_window".days,
          (
            SELECT
              days
            FROM state.median_gaps
            WHERE
              property = 'reorder_window' AND group_value IS NULL
          )
        )
      ) AS "gap:reorder_window",
      u.names AS "unread:",
      CASE
        WHEN u.names IS NULL
        THEN HASH(
          p.content_hash,
          CASE
            WHEN CASE
              WHEN CAST(p."median_days_between_orders" AS DOUBLE) > 0
              AND CAST(p."median_days_between_orders" AS DOUBLE) <= 36500
              THEN CAST(p."median_days_between_orders" AS DOUBLE)
            END IS NULL
            THEN COALESCE(
              "by:reorder_window".days,
              (
                SELECT
                  days
                FROM state.median_gaps
                WHERE
                  property = 'reorder_window' AND group_value IS NULL
              )
            )
          END
        )
        ELSE HASH(
          HASH(
            p.content_hash,
            CASE
              WHEN CASE
                WHEN CAST(p."median_days_between_orders" AS DOUBLE) > 0
                AND CAST(p."median_days_between_orders" AS DOUBLE) <= 36500
                THEN CAST(p."median_days_between_orders" AS DOUBLE)
              END IS NULL
              THEN COALESCE(
                "by:reorder_window".days,
                (
                  SELECT
                    days
                  FROM state.median_gaps
                  WHERE
                    property = 'reorder_window' AND group_value IS NULL
                )
              )
            END
          ),
          u.names
        )
      END AS source_hash,
      CAST('2026-01-02 05:00:00' AS TIMESTAMP) AS as_of
    FROM raw.people AS p
    LEFT JOIN state.median_gaps AS "by:reorder_window"
      ON "by:reorder_window".property = 'reorder_window'
      AND "by:reorder_window".group_value = CAST(p."last_order_category" AS TEXT)
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
          relation = 'raw.people' AND last_good_at IS NULL
      )
      GROUP BY
        cio_id
    ) AS u
      ON u.cio_id = p.cio_id
  ) AS i
) AS v;
