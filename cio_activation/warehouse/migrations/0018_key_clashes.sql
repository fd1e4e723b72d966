-- One row per destination and person whose match key leads to a record that is another person's.
CREATE TABLE delivery.key_clashes (
    destination  VARCHAR,
    cio_id       VARCHAR,
    match_key    VARCHAR,    -- 'email', 'external_id'
    record_id    VARCHAR,
    owner_cio_id VARCHAR,
    reason       VARCHAR,
    mend         VARCHAR,
    noticed_at   TIMESTAMP   -- as-of of the window
);
-- The address that a Pipedrive person has as its first, normalized; '' of none. The next walk fills it for everybody.
ALTER TABLE delivery.pipedrive_persons ADD COLUMN primary_email VARCHAR;
UPDATE delivery.pipedrive_mirror_state SET codes = concat('primary:', codes);
