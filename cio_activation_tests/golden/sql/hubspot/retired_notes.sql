-- plan
WITH acts AS (
  SELECT
    *
  FROM (
    SELECT
      *,
      rowid AS "@place"
    FROM delivery.actions
  )
  WHERE
    destination = 'hubspot'
    AND kind = 'note'
    AND COALESCE(NOT audience IN (NULL), TRUE)
), entries AS (
  SELECT
    entry_id,
    cio_id,
    COALESCE(exited_at, CAST('1970-01-01' AS TIMESTAMP)) AS exited_at,
    COALESCE(exit_reason, 'audience_removed') AS exit_reason
  FROM (
    SELECT
      *,
      rowid AS "@place"
    FROM audience.memberships
  )
  WHERE
    entry_id IN (
      SELECT
        entry_id
      FROM acts
    )
)
SELECT
  CASE x.status WHEN 'open' THEN 'withdraw_note' ELSE 'tell_note' END AS kind,
  x.cio_id,
  x.record_id,
  x.about AS target,
  CAST(JSON_OBJECT(
    'entry_id', x.entry_id,
    'audience', x.audience,
    'reason', e.exit_reason,
    'on_end', 'complete',
    'shown', x.shown
  ) AS TEXT) AS payload,
  '{}' AS keys,
  CAST(NULL AS UBIGINT) AS row_hash,
  1000 AS priority,
  CONCAT('retired', '/', x.status) AS batch_group,
  CAST(NULL AS TEXT) AS claim
FROM acts AS x
JOIN entries AS e
  ON e.entry_id = x.entry_id AND NOT e.exited_at IS NULL
WHERE
  x.status = 'open'
  OR x.status = 'taken_up'
  AND NOT x.told_end
  AND e.exit_reason <> 'done';
