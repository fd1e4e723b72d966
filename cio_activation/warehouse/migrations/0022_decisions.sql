-- Entries known by an id, one decision per person, audience and window, and the rules of past activations.

-- Made anew instead of altered: DuckDB before 2.0 commits no table that was altered and written to.
CREATE TABLE audience.memberships_before AS FROM audience.memberships;
DROP TABLE audience.memberships;
CREATE TABLE audience.memberships (
    audience     VARCHAR,
    version      INTEGER,
    cio_id       VARCHAR,
    entered_at   TIMESTAMP,   -- as-of of the window of entry
    entry_window VARCHAR,
    entry_reason VARCHAR,
    evidence     VARCHAR,     -- JSON: segment, since, the gate's inputs with their values
    exited_at    TIMESTAMP,
    exit_window  VARCHAR,
    exit_reason  VARCHAR,
    number       INTEGER,     -- the n-th stay of the person in the audience
    entry_id     VARCHAR,     -- md5 of audience, cio_id and number
    touch        BOOLEAN DEFAULT false, -- a human was asked to act
    ghost        BOOLEAN DEFAULT false, -- held out: nothing is delivered
    baseline     BOOLEAN DEFAULT false, -- in before the audience had a human act
    activation   VARCHAR      -- fingerprint of the rules it was decided by
);
INSERT INTO audience.memberships BY NAME
SELECT m.*, md5(concat_ws(chr(31), m.audience, m.cio_id, m.number)) AS entry_id
FROM (
    SELECT audience, version, cio_id, entered_at, entry_window, entry_reason, evidence, exited_at, exit_window, exit_reason,
        CAST(row_number() OVER (PARTITION BY audience, cio_id ORDER BY entered_at, exited_at) AS INTEGER) AS number
    FROM audience.memberships_before
) AS m;
DROP TABLE audience.memberships_before;

CREATE TABLE audience.eligibility_before AS FROM audience.eligibility;
DROP TABLE audience.eligibility;
CREATE TABLE audience.eligibility (
    audience      VARCHAR,
    cio_id        VARCHAR,
    since         TIMESTAMP,  -- as-of of the first window of this unbroken spell
    stage         VARCHAR,    -- 'waiting', 'in', 'spent' (bought, was handled or expired, and still eligible)
    bought_before TIMESTAMP,  -- the last purchase when the spell began
    code          VARCHAR,    -- what keeps the person out now; NULL: is in
    baseline      BOOLEAN DEFAULT false, -- eligible since before the start
    spent_at      TIMESTAMP   -- as-of of the window in which it was used up
);
INSERT INTO audience.eligibility BY NAME
SELECT audience, cio_id, since, stage, bought_before,
    CASE stage WHEN 'waiting' THEN 'grace' WHEN 'spent' THEN 'spent' END AS code
FROM audience.eligibility_before;
DROP TABLE audience.eligibility_before;

-- What was decided of a person in an audience, in the windows in which that changed. Append-only.
CREATE TABLE audience.decisions (
    sequence     BIGINT,      -- order of writing
    audience     VARCHAR,
    version      INTEGER,
    cio_id       VARCHAR,
    decision     VARCHAR,     -- 'entered', 'left', 'withheld', 'dropped' (was withheld, is no candidate any more)
    code         VARCHAR,     -- why: the exit's reason, or the code that withholds; NULL for 'entered'
    detail       VARCHAR,     -- JSON: the values and times the code rests on
    entry_id     VARCHAR,
    as_of        TIMESTAMP,   -- the window's end
    lane         VARCHAR,
    window_key   VARCHAR,
    segment      BIGINT,
    segment_name VARCHAR,
    snapshot     VARCHAR,     -- run id of the segment's reading it was decided from
    activation   VARCHAR,     -- fingerprint: audience.activations
    run_id       VARCHAR
);

-- How many were decided how, per audience and window: candidates = entered + stayed + left + withheld by each code.
CREATE TABLE audience.counts (
    audience   VARCHAR,
    lane       VARCHAR,
    window_key VARCHAR,
    as_of      TIMESTAMP,
    decision   VARCHAR,       -- 'entered', 'stayed', 'left', 'withheld'
    code       VARCHAR,
    people     BIGINT
);

-- When an audience first had a human act, and what it let in of those who were eligible already.
CREATE TABLE audience.launches (
    audience    VARCHAR,
    launched_at TIMESTAMP,    -- as-of of its first window
    window_key  VARCHAR,
    activation  VARCHAR
);

-- The rules of every activation that decided something, so that an old decision is explained by the rule of its day.
CREATE TABLE audience.activations (
    activation VARCHAR,       -- fingerprint
    first_used TIMESTAMP,     -- as-of of the first window it decided
    rules      VARCHAR        -- JSON
);

-- What humans did with what they were asked to do, as the CRMs tell. One row per action, act and its instant.
CREATE SCHEMA IF NOT EXISTS feedback;
CREATE TABLE feedback.acts (
    destination VARCHAR,
    kind        VARCHAR,      -- 'task', 'activity'
    record_id   VARCHAR,      -- the vendor's id of the action
    entry_id    VARCHAR,
    audience    VARCHAR,
    cio_id      VARCHAR,
    act         VARCHAR,      -- 'done', 'deleted', 'snoozed', 'taken_up', 'reassigned', 'outcome'
    happened_at TIMESTAMP,    -- the vendor's time of the act, else the instant it was read
    until       TIMESTAMP,    -- of 'snoozed': until when
    detail      VARCHAR,      -- of 'outcome': its value; of 'reassigned': the owner's id
    seen_at     TIMESTAMP
);

-- Names of segments as last listed, for people who read decisions.
CREATE TABLE raw.segments (
    segment_id  BIGINT,
    name        VARCHAR,
    observed_at TIMESTAMP
);
