-- Lists of audiences that left the activation: emptied at once, deleted at the vendor after a declared delay.
CREATE TABLE IF NOT EXISTS delivery.retired_lists (
    destination VARCHAR,
    list_id     VARCHAR,     -- the vendor's
    audience    VARCHAR,     -- whose it was
    name        VARCHAR,     -- as the vendor called it when it was retired
    since       TIMESTAMP,   -- as-of of the first window that saw it retired
    ended_at    TIMESTAMP    -- when it was deleted; NULL: it is still there
);
