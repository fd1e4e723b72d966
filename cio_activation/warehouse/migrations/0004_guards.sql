-- What the guards said of a plan, and who let a held one go.
ALTER TABLE delivery.plans ADD COLUMN IF NOT EXISTS made_at TIMESTAMP;      -- this machine's clock: orders plans
ALTER TABLE delivery.plans ADD COLUMN IF NOT EXISTS fingerprint VARCHAR;    -- of the set of operation ids
ALTER TABLE delivery.plans ADD COLUMN IF NOT EXISTS guards VARCHAR;         -- JSON: one entry per guard that judged
ALTER TABLE delivery.plans ADD COLUMN IF NOT EXISTS released_from VARCHAR;  -- the held plan whose release let it pass

-- One row per release of a held plan. It lets through what that plan held, and is spent when that went out.
CREATE TABLE delivery.releases (
    plan_id     VARCHAR,
    who         VARCHAR,
    why         VARCHAR,
    released_at TIMESTAMP,
    fingerprint VARCHAR,
    spent_by    VARCHAR      -- the plan that went through; NULL while the release still stands
);

-- The schema a rejected operation met: another one since makes it due at once.
ALTER TABLE delivery.rejected ADD COLUMN IF NOT EXISTS catalog_hash VARCHAR;

-- One row per value of a `keep` field that a human changed since our last write, and that was left as it is.
CREATE TABLE delivery.conflicts (
    destination  VARCHAR,
    step         VARCHAR,
    cio_id       VARCHAR,
    record_id    VARCHAR,
    field        VARCHAR,
    ours         VARCHAR,    -- what we would have written; NULL: we would have emptied it
    theirs       VARCHAR,    -- what the field held instead
    found_window VARCHAR,
    found_at     TIMESTAMP   -- as-of of that window
);
