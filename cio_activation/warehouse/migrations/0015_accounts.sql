-- One row per destination (and one for customerio): the vendor's own id of the account that this home belongs to.
CREATE TABLE delivery.accounts (
    destination   VARCHAR,
    account_id    VARCHAR,
    first_seen_at TIMESTAMP,   -- UTC, by this machine's clock, as the next
    checked_at    TIMESTAMP,   -- when a credential was last seen to open it
    access_hash   VARCHAR      -- of that credential and address
);
