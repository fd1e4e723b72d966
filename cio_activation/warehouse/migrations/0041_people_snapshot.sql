-- One row: the snapshot that raw.people holds. What is the same for everybody of it stands here, once.
CREATE TABLE raw.people_snapshot (
    observed_at TIMESTAMP,   -- when Customer.io was asked for it
    window_key  VARCHAR,
    reading     VARCHAR,     -- how cells were read: by another one nobody's cells say that their row stands
    differing   DOUBLE       -- share of its rows that differed, as received, from the snapshot before
);
