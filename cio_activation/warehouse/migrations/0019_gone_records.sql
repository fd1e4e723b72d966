-- One row per destination and person whose record there was deleted, or merged away.
CREATE TABLE delivery.gone_records (
    destination VARCHAR,
    cio_id      VARCHAR,
    record_id   VARCHAR,
    email_hash  VARCHAR,     -- SHA-256: nothing is made under that address either, by whichever profile
    in_bin      BOOLEAN,     -- whether it lay in the recycle bin; NULL: nobody asked
    noticed_at  TIMESTAMP,   -- as-of of the window that learned of it
    sought_at   TIMESTAMP    -- as-of of the window that looked for who has taken its place; NULL: not yet
);
-- Whether the record is to be looked at by its id, for it may be gone.
ALTER TABLE delivery.links ADD COLUMN recheck BOOLEAN;
-- Whether a deleted Pipedrive person can be restored; NULL: nobody asked.
ALTER TABLE delivery.pipedrive_persons ADD COLUMN in_bin BOOLEAN;
