CREATE SCHEMA IF NOT EXISTS outcome;

-- What was written, by day (UTC), destination and audience; without an audience: fields only, or nobody was moved.
-- A CRM that holds all audiences of a person in one field is written once for all of them: such a write counts under
-- each audience it moved the person into or out of, against the one before it.
CREATE VIEW outcome.write_volume AS
WITH writes AS (
    SELECT CAST(ended_at AS DATE) AS day, destination, kind, target, cio_id, "end" = 'delivered' AS is_delivered, intent_at,
           from_json(json_extract(json_extract_string(payload, '$.audiences'), '$.in'), '["VARCHAR"]') AS inside,
           coalesce(json_exists(payload, '$.audiences'), false) AND "end" = 'delivered' AS is_flagged
    FROM delivery.ledger WHERE kind <> 'link' AND "end" IN ('delivered', 'rejected')
), flagged AS (
    SELECT day, destination, cio_id, coalesce(inside, []) AS inside,
           coalesce(lag(inside) OVER (PARTITION BY destination, cio_id ORDER BY intent_at), []) AS before
    FROM writes WHERE is_flagged
), moved AS (
    SELECT day, destination, cio_id,
           list_concat(list_filter(inside, lambda a: NOT list_contains(before, a)),
                       list_filter(before, lambda a: NOT list_contains(inside, a))) AS audiences
    FROM flagged
), listed AS (
    SELECT day, destination, CASE WHEN kind IN ('add', 'remove') THEN target END AS audience, cio_id, is_delivered
    FROM writes WHERE NOT is_flagged
    UNION ALL
    SELECT day, destination, unnest(CASE WHEN len(audiences) = 0 THEN [NULL] ELSE audiences END), cio_id, true FROM moved
)
SELECT day, destination, audience, count(*) FILTER (is_delivered) AS delivered, count(*) FILTER (NOT is_delivered) AS rejected,
       count(DISTINCT cio_id) AS people
FROM listed GROUP BY ALL;
