-- What Customer.io was last told of who is being asked about whom. One row a person and prefix, for both lanes.
CREATE TABLE delivery.outreach_flags (
    cio_id     VARCHAR,
    prefix     VARCHAR,    -- of the attributes' names when it was written
    active     BOOLEAN,
    audience   VARCHAR,
    until      BIGINT,     -- seconds since 1970, UTC
    written_at BIGINT,     -- the timestamp the write carried: of two writes Customer.io keeps the later
    in_doubt   BOOLEAN,    -- sent since then, and the outcome is not known
    failed_at  BIGINT      -- when Customer.io noted that it had taken this write and not applied it; NULL: no such note
);
