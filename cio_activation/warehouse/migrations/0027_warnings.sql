-- What about a segment is told before its effect is sent, how many come and go, and the warnings that hold.

-- What a lane last saw of a segment beside its members, to compare the next reading with.
CREATE TABLE raw.segment_states (
    lane        VARCHAR,
    segment_id  BIGINT,
    name        VARCHAR,
    updated_at  TIMESTAMP,   -- as Customer.io tells it; NULL where it does not
    conditions  VARCHAR,     -- JSON; NULL where Customer.io does not tell them
    observed_at TIMESTAMP
);

-- What a lane found changed. Append-only.
CREATE TABLE raw.segment_changes (
    lane        VARCHAR,
    segment_id  BIGINT,
    name        VARCHAR,     -- as it is called since
    what        VARCHAR,     -- 'name', 'conditions', 'saved' (its conditions are not told), 'size' (beyond the limit)
    before      VARCHAR,
    after       VARCHAR,
    observed_at TIMESTAMP
);

-- Who came and went by a lane's snapshots of a segment, per day (UTC). Its first snapshot is no coming.
CREATE TABLE raw.segment_turnover (
    lane       VARCHAR,
    segment_id BIGINT,
    day        DATE,
    entered    BIGINT,
    departed   BIGINT,
    members    BIGINT       -- by the newest snapshot of the day
);

-- What held when the warnings were last looked at.
CREATE TABLE outcome.warnings (
    key      VARCHAR,        -- the same as long as the warning is about the same
    kind     VARCHAR,
    about    VARCHAR,
    sentence VARCHAR,
    mend     VARCHAR,
    since    TIMESTAMP,      -- when it was first found
    as_of    TIMESTAMP
);
