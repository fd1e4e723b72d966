-- What audits found: what a CRM holds of ours, read back and compared with what it had acknowledged.

-- One row per audit of one destination that came to its end.
CREATE TABLE delivery.audits (
    audit_id    VARCHAR,
    run_id      VARCHAR,
    destination VARCHAR,
    window_key  VARCHAR,     -- the newest window that was delivered there, and the seed of the sample
    window_end  TIMESTAMP,
    started_at  TIMESTAMP,   -- UTC, as the next
    ended_at    TIMESTAMP,
    population  BIGINT,      -- people who have a record there
    records     BIGINT,      -- records that were read
    compared    BIGINT,      -- of these, those of which nothing was in doubt or on its way
    deviating   BIGINT,      -- of these, those with at least one finding
    low         DOUBLE,      -- the share of all records that deviate: between these two, 95 times in 100
    high        DOUBLE,
    actions     BIGINT,      -- actions that were read
    calls       BIGINT,
    note        VARCHAR      -- why it ended early, what was left out
);

-- One row per deviation.
CREATE TABLE delivery.audit_findings (
    audit_id    VARCHAR,
    run_id      VARCHAR,
    destination VARCHAR,
    window_key  VARCHAR,
    found_at    TIMESTAMP,   -- UTC
    kind        VARCHAR,     -- 'never_arrived', 'edited', 'cleared', 'deleted', 'merged', 'emptied', 'foreign'
    treatment   VARCHAR,     -- 'repaired' (by the next plan), 'kept', 'handled', 'listed'
    subject     VARCHAR,     -- 'record', 'key', 'field', 'list', 'action'
    name        VARCHAR,     -- the field, the audience, the kind of action
    cio_id      VARCHAR,     -- NULL: somebody on a list who is nobody of ours
    record_id   VARCHAR,     -- the person's; of an action, its own
    ours        VARCHAR,     -- what the destination had acknowledged
    theirs      VARCHAR      -- what it holds
);
