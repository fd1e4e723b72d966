-- The switch of an audience: while it is off nobody enters; who is in leaves as ever.
CREATE TABLE audience.pauses (
    audience   VARCHAR,
    paused_at  TIMESTAMP,
    paused_by  VARCHAR,
    why        VARCHAR,
    resumed_at TIMESTAMP,    -- NULL: still paused
    resumed_by VARCHAR
);
