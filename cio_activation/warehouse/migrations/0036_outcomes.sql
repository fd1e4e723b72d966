-- What humans write of an outreach on the record: as last read, so that what is new is told from what was there before.
CREATE TABLE feedback.outcome_fields (
    destination VARCHAR,
    record_id   VARCHAR,     -- of the person
    outcome     VARCHAR,     -- 'converted', 'not_interested', 'bad_timing', 'wrong_person', 'no_answer'; NULL: empty
    outcome_on  DATE,        -- the day beside it: when it was, or when to come back
    active      BOOLEAN,     -- a human or a workflow says that outreach is active
    read_at     TIMESTAMP    -- when it was read, or emptied by us; NULL: of the outcome nothing is known
);

-- Of whom a human said that the record is not theirs: listed until the outcome on the record is another one.
CREATE TABLE feedback.reviews (
    destination VARCHAR,
    cio_id      VARCHAR,
    record_id   VARCHAR,
    outcome     VARCHAR,     -- that asked for it
    noticed_at  TIMESTAMP    -- as-of of the window
);

-- A further attempt for an entry has an assignment of its own.
ALTER TABLE audience.assignments ADD COLUMN attempt INTEGER DEFAULT 1;

ALTER TABLE delivery.outreach_flags ADD COLUMN outcome VARCHAR;
