-- What is known about destinations. Nothing here has a primary key: uniqueness is checked by query (performance study).

-- One row per (destination, person) that was looked up; record_id NULL: looked up and not found.
CREATE TABLE delivery.links (
    destination     VARCHAR,
    cio_id          VARCHAR,
    record_id       VARCHAR,
    stamped         BOOLEAN,   -- the record carries our key
    matched_by      VARCHAR,   -- 'email', 'external_id', 'cio_id', 'created'
    looked_up_email VARCHAR,
    linked_at       TIMESTAMP
);

-- One row per acknowledged list membership.
CREATE TABLE delivery.members (
    destination VARCHAR,
    audience    VARCHAR,
    cio_id      VARCHAR,
    record_id   VARCHAR,
    acked_at    TIMESTAMP
);

-- Vendor ids of schema objects by our names, as the schema step found or created them.
CREATE TABLE delivery.catalog (
    destination VARCHAR,
    catalog     VARCHAR        -- JSON
);

-- One row per ended attempt of an operation, append-only.
CREATE TABLE delivery.ledger (
    operation_id VARCHAR,
    run_id       VARCHAR,
    plan_id      VARCHAR,
    destination  VARCHAR,
    step         VARCHAR,
    lane         VARCHAR,
    kind         VARCHAR,
    cio_id       VARCHAR,
    record_id    VARCHAR,
    target       VARCHAR,
    payload      VARCHAR,
    "end"        VARCHAR,
    reason       VARCHAR,
    status       INTEGER,
    request_id   VARCHAR,
    window_key   VARCHAR,
    window_end   TIMESTAMP,
    intent_at    TIMESTAMP,
    ended_at     TIMESTAMP
);

-- One row per operation a vendor refused and that still stands; gone once it is delivered or no longer wanted.
CREATE TABLE delivery.rejected (
    operation_id VARCHAR,
    destination  VARCHAR,
    step         VARCHAR,
    lane         VARCHAR,
    kind         VARCHAR,
    cio_id       VARCHAR,
    target       VARCHAR,
    reason       VARCHAR,
    attempts     INTEGER,
    next_try_at  TIMESTAMP     -- as-of time; an operation whose values change gets a new id and is tried at once
);

-- The journal rows the last fold of a step took, so that a kill before their deletion does not fold them twice.
CREATE TABLE delivery.last_fold (
    destination VARCHAR,
    step        VARCHAR,
    journal_id  BIGINT,
    intent_at   DOUBLE
);

-- One row per plan of a step and what became of it: planned = delivered + rejected + superseded + held.
CREATE TABLE delivery.plans (
    plan_id     VARCHAR,
    run_id      VARCHAR,
    destination VARCHAR,
    step        VARCHAR,
    lane        VARCHAR,
    window_key  VARCHAR,
    window_end  TIMESTAMP,
    planned     BIGINT,
    delivered   BIGINT,
    rejected    BIGINT,
    superseded  BIGINT,
    held        BIGINT,
    waiting     BIGINT,        -- rejected earlier, next try not yet due: not planned
    calls       BIGINT,
    throttled   BIGINT,
    status      VARCHAR,       -- 'sending', 'done', 'held', 'stopped'
    note        VARCHAR
);
