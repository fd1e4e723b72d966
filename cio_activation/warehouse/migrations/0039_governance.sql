-- What the CRMs have of fields, lists and options of ours or under our prefix, and what of it somebody should look at.

-- As the destination's schema step last found them; replaced as a whole.
CREATE TABLE delivery.definitions (
    destination VARCHAR,
    kind        VARCHAR,     -- 'field', 'list', 'option'
    address     VARCHAR,     -- by what the destination knows it
    name        VARCHAR,     -- what people there see
    declared    VARCHAR,     -- where the activation says it, such as 'properties.ltv'; NULL: nowhere
    differences VARCHAR,     -- JSON: [[sentence, mend], ...], how it differs from the activation
    mend        VARCHAR,     -- where nothing declares it: what to do with it
    read_at     TIMESTAMP
);

-- What was unowned, unused, stale, orphaned, drifted or without effect by the newest window that was looked at.
CREATE TABLE outcome.governance (
    matter   VARCHAR,        -- 'unowned', 'unused', 'stale', 'orphaned', 'drifted', 'no_effect'
    about    VARCHAR,        -- 'audiences.vip', 'properties.ltv', or what it is at which destination
    sentence VARCHAR,
    mend     VARCHAR,
    since    TIMESTAMP,      -- end of the window that first found it
    as_of    TIMESTAMP
);
