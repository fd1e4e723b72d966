-- Who acts for an entry, where and until when; what was asked of humans in the CRMs; who they are, and what they are on.

-- Written with the decision to let somebody in: the action's step only carries it.
CREATE TABLE audience.assignments (
    entry_id    VARCHAR,
    audience    VARCHAR,
    cio_id      VARCHAR,
    destination VARCHAR,     -- the one place in which the entry's actions are
    owner_id    VARCHAR,     -- the destination's id of who acts; NULL: a queue, or nobody
    owner_email VARCHAR,     -- the same human in every destination; what capacity is counted by
    owner_from  VARCHAR,     -- 'record_owner', 'named', 'rotation', 'queue', 'nobody'
    queue       VARCHAR,     -- of 'queue': its id
    due_at      TIMESTAMP,   -- UTC
    planned_at  TIMESTAMP,   -- the run's instant that due_at counts from, if later than the window's end
    as_of       TIMESTAMP    -- of the window of entry
);

-- What the rules read of those who are in, where it has changed since their entry: an open action is brought up to date.
CREATE TABLE audience.current_evidence (
    entry_id VARCHAR,
    audience VARCHAR,
    cio_id   VARCHAR,
    evidence VARCHAR,        -- JSON, like audience.memberships.evidence
    as_of    TIMESTAMP
);

-- One row per action, as its destination acknowledged it. Never more than one that is open per entry, place and kind.
CREATE TABLE delivery.actions (
    destination  VARCHAR,
    kind         VARCHAR,    -- 'task', 'activity', 'note', 'deal'
    entry_id     VARCHAR,
    attempt      INTEGER,    -- 1, and more only where the audience says retry
    audience     VARCHAR,
    cio_id       VARCHAR,
    record_id    VARCHAR,    -- the destination's id of the action
    about        VARCHAR,    -- the person's record there when it was made
    owner_id     VARCHAR,    -- as last acknowledged or read
    due_at       TIMESTAMP,  -- as last acknowledged or read
    content      VARCHAR,    -- md5 of what its text was made of when it was last written
    shown        VARCHAR,    -- md5 of subject and text as the destination showed them after that; else a human wrote there
    status       VARCHAR,    -- 'open', 'taken_up', 'done', 'withdrawn', 'expired', 'deleted'
    opened_at    TIMESTAMP,
    ended_at     TIMESTAMP,  -- NULL while open or taken up
    end_reason   VARCHAR,    -- of what we withdrew: the exit's reason
    told_end     BOOLEAN DEFAULT false -- of one taken up: the line that says its reason ended was written
);

-- Who can be asked to act.
CREATE TABLE feedback.owners (
    destination VARCHAR,
    owner_id    VARCHAR,
    email       VARCHAR,     -- lower case
    active      BOOLEAN,
    timezone    VARCHAR,     -- IANA; NULL where the destination tells none
    read_at     TIMESTAMP
);

-- What the CRMs said of those who were about to enter a touch audience, read before it was decided.
CREATE TABLE feedback.contexts (
    destination VARCHAR,
    lane        VARCHAR,     -- of the audiences; only who is about to enter now has a row
    cio_id      VARCHAR,
    record_id   VARCHAR,     -- NULL: no record there
    owner_id    VARCHAR,     -- of the record
    handled_by  VARCHAR,     -- what a human or another tool is on: 'open_task', 'open_activity', 'open_deal', 'contacted', 'enrolled'; NULL: nobody
    handled_at  TIMESTAMP,   -- of what handled_by names, where it has an instant
    window_key  VARCHAR,     -- it was read for
    read_at     TIMESTAMP
);

-- The last time a lane asked a destination what humans did.
CREATE TABLE feedback.readings (
    destination VARCHAR,
    lane        VARCHAR,
    window_key  VARCHAR,
    window_end  TIMESTAMP,
    read_at     TIMESTAMP,
    actions     BIGINT,      -- read, open before
    problem     VARCHAR      -- why it could not be read; NULL: it was
);
