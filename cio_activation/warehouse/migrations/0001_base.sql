-- Tables whose shape does not depend on the activation. All times are TIMESTAMP in UTC.
CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS stage;
CREATE SCHEMA IF NOT EXISTS identity;
CREATE SCHEMA IF NOT EXISTS state;
CREATE SCHEMA IF NOT EXISTS audience;
CREATE SCHEMA IF NOT EXISTS delivery;
CREATE SCHEMA IF NOT EXISTS quarantine;

-- One row per published table and lane: the newest window that wrote it. Older windows never publish over it.
CREATE TABLE meta.published (
    name        VARCHAR,     -- 'raw.people', 'state.daily_properties', 'audience.vip_cart_abandoners', ...
    lane        VARCHAR,
    window_key  VARCHAR,
    window_end  TIMESTAMP,
    run_id      VARCHAR,
    rows        BIGINT
);

-- One row per kept raw file.
CREATE TABLE raw.files (
    lane        VARCHAR,
    window_key  VARCHAR,
    kind        VARCHAR,     -- 'people', 'segment:12', 'attributes'
    path        VARCHAR,     -- relative to ACTIVATION_HOME
    sha256      VARCHAR,
    rows        BIGINT,
    observed_at TIMESTAMP    -- when the vendor took the picture
);

-- One row per export asked for; written before the first poll, so that a restarted run resumes it.
CREATE TABLE raw.exports (
    window_key   VARCHAR,
    export_id    BIGINT,
    requested_at TIMESTAMP,
    status       VARCHAR     -- 'pending', 'done', 'failed'
);

-- One row per (segment, person): membership now, as last seen. first_seen is the as-of of the first window that saw it.
CREATE TABLE raw.memberships (
    lane        VARCHAR,
    segment_id  BIGINT,
    cio_id      VARCHAR,
    first_seen  TIMESTAMP,
    window_key  VARCHAR
);

-- One row per input row that was refused, with everything needed to mend it. Nothing is dropped.
CREATE TABLE quarantine.rows (
    layer       VARCHAR,     -- 'raw', 'identity', 'state', 'payload'
    lane        VARCHAR,
    window_key  VARCHAR,
    cio_id      VARCHAR,     -- NULL if the row has none
    "column"    VARCHAR,     -- NULL for rules over several columns
    reason      VARCHAR,     -- short, stable, groupable: 'unparsable timestamp'
    detail      VARCHAR,
    row         VARCHAR      -- the row as JSON or as the raw line
);

-- One row per stay of a person in an audience; exited_at IS NULL means the person is in it.
CREATE TABLE audience.memberships (
    audience     VARCHAR,
    version      INTEGER,
    cio_id       VARCHAR,
    entered_at   TIMESTAMP,  -- as-of of the window of entry
    entry_window VARCHAR,
    entry_reason VARCHAR,
    evidence     VARCHAR,    -- JSON: segment, since, the gate's inputs with their values
    exited_at    TIMESTAMP,
    exit_window  VARCHAR,
    exit_reason  VARCHAR     -- 'left_segment', 'gate', 'purchase', 'expired', 'deleted', 'audience_removed'
);

-- One row per person who is eligible (in the segment, passing the gate) right now.
CREATE TABLE audience.eligibility (
    audience VARCHAR,
    cio_id   VARCHAR,
    since    TIMESTAMP,      -- as-of of the first window of this unbroken spell
    stage    VARCHAR         -- 'waiting' (grace), 'in', 'spent' (left by purchase or expiry, still eligible)
);
