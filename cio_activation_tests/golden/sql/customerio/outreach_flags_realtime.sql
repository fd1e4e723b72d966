-- plan
SELECT
  'mark_outreach' AS kind,
  cio_id,
  cio_id AS record_id,
  CAST(NULL AS TEXT) AS target,
  payload,
  CASE
    WHEN written_at IS NULL
    THEN '{}'
    ELSE CAST(TO_JSON({'after': CAST(written_at AS TEXT)}) AS TEXT)
  END AS keys,
  CAST(NULL AS UBIGINT) AS row_hash,
  CASE WHEN wanted THEN 0 ELSE 1000 END AS priority,
  'mark_outreach' AS batch_group
FROM (
  SELECT
    w.cio_id,
    w.written_at,
    w.wanted,
    CASE
      WHEN w.told IS NULL
      THEN CAST(TO_JSON(
        MAP_FROM_ENTRIES(
          [
            {'k': 'cx_' || 'outreach_active', 'v': TO_JSON(w.wanted)},
            {'k': 'cx_' || 'outreach_audience', 'v': TO_JSON(COALESCE(w.audience, ''))},
            {'k': 'cx_' || 'outreach_until', 'v': COALESCE(TO_JSON(w.until), TO_JSON(''))}
          ]
        )
      ) AS TEXT)
      ELSE CAST(TO_JSON(
        MAP_FROM_ENTRIES(
          [
            {'k': 'cx_' || 'outreach_active', 'v': TO_JSON(w.wanted)},
            {'k': 'cx_' || 'outreach_audience', 'v': TO_JSON(COALESCE(w.audience, ''))},
            {'k': 'cx_' || 'outreach_until', 'v': COALESCE(TO_JSON(w.until), TO_JSON(''))},
            {'k': 'cx_' || 'outreach_outcome', 'v': TO_JSON(COALESCE(w.outcome, ''))}
          ]
        )
      ) AS TEXT)
    END AS payload
  FROM (
    SELECT
      COALESCE(d.cio_id, s.cio_id) AS cio_id,
      COALESCE(d.active, FALSE) AS wanted,
      d.audience,
      d.until,
      d.outcome,
      s.outcome AS told,
      s.written_at,
      CASE
        WHEN s.cio_id IS NULL OR COALESCE(s.in_doubt, TRUE)
        THEN TRUE
        WHEN d.cio_id IS NULL
        THEN s.active OR NOT s.outcome IS NULL
        ELSE s.active IS DISTINCT FROM d.active
        OR s.audience IS DISTINCT FROM d.audience
        OR s.until IS DISTINCT FROM d.until
        OR s.outcome IS DISTINCT FROM d.outcome
      END AS differs
    FROM (
      WITH asked AS (
        SELECT
          cio_id,
          entry_id,
          audience,
          due_at,
          opened_at,
          record_id
        FROM delivery.actions
        WHERE
          status IN ('open', 'taken_up') AND kind IN ('task', 'activity')
      ), put_off AS (
        SELECT
          entry_id,
          ARG_MAX(until, happened_at) AS until
        FROM feedback.acts
        WHERE
          act = 'snoozed' AND entry_id IN (
            SELECT
              entry_id
            FROM asked
          )
        GROUP BY
          entry_id
      ), entries AS (
        SELECT
          entry_id,
          ANY_VALUE(entered_at) AS entered_at
        FROM audience.memberships
        WHERE
          entry_id IN (
            SELECT
              entry_id
            FROM asked
          )
        GROUP BY
          entry_id
      ), ending AS (
        SELECT
          o.*,
          COALESCE(
            GREATEST(
              e.entered_at + CASE o.audience
                WHEN 'vip_cart_abandoners'
                THEN TO_SECONDS(172800)
                WHEN 'high_intent_cart'
                THEN TO_SECONDS(259200)
                WHEN 'reorder_window_open'
                THEN TO_SECONDS(1209600)
                WHEN 'vip_churn_risk'
                THEN TO_SECONDS(2592000)
                WHEN 'winback_clicked'
                THEN TO_SECONDS(604800)
                WHEN 'asked_where_is_my_order'
                THEN TO_SECONDS(1209600)
              END,
              p.until
            ),
            o.due_at
          ) AS ends_at
        FROM asked AS o
        LEFT JOIN entries AS e
          USING (entry_id)
        LEFT JOIN put_off AS p
          USING (entry_id)
      ), newest AS (
        SELECT
          cio_id,
          MAX(ends_at) AS ends_at,
          FIRST(audience ORDER BY opened_at DESC, audience, record_id) AS audience
        FROM ending
        GROUP BY
          cio_id
      )
      SELECT
        cio_id,
        TRUE AS active,
        LEFT(CASE audience WHEN NULL THEN NULL ELSE audience END, 200) AS audience,
        CAST(FLOOR(EPOCH(ends_at)) AS BIGINT) AS until,
        CAST(NULL AS TEXT) AS outcome
      FROM newest
    ) AS d
    FULL JOIN (
      SELECT
        *
      FROM delivery.outreach_flags
      WHERE
        prefix = 'cx_'
    ) AS s
      ON s.cio_id = d.cio_id
  ) AS w
  WHERE
    w.differs
  UNION ALL BY NAME
  SELECT
    s.cio_id,
    s.written_at,
    FALSE AS wanted,
    CASE
      WHEN s.outcome IS NULL
      THEN CAST(TO_JSON(
        MAP_FROM_ENTRIES(
          [
            {'k': s.prefix || 'outreach_active', 'v': TO_JSON('')},
            {'k': s.prefix || 'outreach_audience', 'v': TO_JSON('')},
            {'k': s.prefix || 'outreach_until', 'v': TO_JSON('')}
          ]
        )
      ) AS TEXT)
      ELSE CAST(TO_JSON(
        MAP_FROM_ENTRIES(
          [
            {'k': s.prefix || 'outreach_active', 'v': TO_JSON('')},
            {'k': s.prefix || 'outreach_audience', 'v': TO_JSON('')},
            {'k': s.prefix || 'outreach_until', 'v': TO_JSON('')},
            {'k': s.prefix || 'outreach_outcome', 'v': TO_JSON('')}
          ]
        )
      ) AS TEXT)
    END AS payload
  FROM delivery.outreach_flags AS s
  WHERE
    s.prefix <> 'cx_'
)
SEMI JOIN identity.persons
  USING (cio_id);
