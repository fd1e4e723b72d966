-- Entries known by an id, one decision per person, audience and window, and the rules of past activations.

ALTER TABLE audience.memberships ADD COLUMN number INTEGER;               -- the n-th stay of the person in the audience
ALTER TABLE audience.memberships ADD COLUMN entry_id VARCHAR;             -- md5 of audience, cio_id and number
ALTER TABLE audience.memberships ADD COLUMN touch BOOLEAN DEFAULT false;  -- a human was asked to act
ALTER TABLE audience.memberships ADD COLUMN ghost BOOLEAN DEFAULT false;  -- held out: nothing is delivered
ALTER TABLE audience.memberships ADD COLUMN baseline BOOLEAN DEFAULT false; -- in before the audience had a human act
ALTER TABLE audience.memberships ADD COLUMN activation VARCHAR;           -- fingerprint of the rules it was decided by
UPDATE audience.memberships AS m SET number = n.number, entry_id = md5(concat_ws(chr(31), m.audience, m.cio_id, n.number))
FROM (SELECT rowid AS place, row_number() OVER (PARTITION BY audience, cio_id ORDER BY entered_at, rowid) AS number
      FROM audience.memberships) AS n
WHERE n.place = m.rowid;

ALTER TABLE audience.eligibility ADD COLUMN code VARCHAR;                 -- what keeps the person out now; NULL: is in
ALTER TABLE audience.eligibility ADD COLUMN baseline BOOLEAN DEFAULT false; -- eligible since before the start
ALTER TABLE audience.eligibility ADD COLUMN spent_at TIMESTAMP;           -- as-of of the window in which it was used up
UPDATE audience.eligibility SET code = CASE stage WHEN 'waiting' THEN 'grace' WHEN 'spent' THEN 'spent' END;

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
