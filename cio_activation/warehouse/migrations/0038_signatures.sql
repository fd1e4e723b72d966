-- Who signed that what an audience puts into the CRMs is right, and what was looked at for that.

-- Samples of people whose records were read back and laid beside ours. One row per sample; the same content is the same.
CREATE TABLE delivery.samples (
    sample_id  VARCHAR,      -- hash of what the page shows
    window_key VARCHAR,      -- the newest window that was delivered, and the seed of the drawing
    window_end TIMESTAMP,
    made_at    TIMESTAMP,    -- UTC, the last time it was
    people     BIGINT,       -- drawn
    differing  BIGINT,       -- of these, with at least one difference
    audiences  VARCHAR,      -- JSON: audience -> its version then
    calls      BIGINT
);

-- Append-only; the newest one of an audience counts, for its version.
CREATE TABLE audience.signatures (
    audience   VARCHAR,
    version    INTEGER,
    signed_at  TIMESTAMP,    -- UTC
    signed_by  VARCHAR,
    why        VARCHAR,
    sample_id  VARCHAR
);
