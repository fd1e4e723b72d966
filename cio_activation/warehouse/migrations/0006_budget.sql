-- One row per person (and list) whose operation a plan of a step left over: it goes before those planned later.
CREATE TABLE delivery.held (
    destination VARCHAR,
    step        VARCHAR,
    cio_id      VARCHAR,
    target      VARCHAR,
    since       TIMESTAMP    -- as-of of the first window that left it over
);

-- What a plan was to use of the vendor's day, and how many operations did not fit (they are among the held).
ALTER TABLE delivery.plans ADD COLUMN IF NOT EXISTS units DOUBLE;
ALTER TABLE delivery.plans ADD COLUMN IF NOT EXISTS over_budget BIGINT;
