-- Tables that release 0.1.0 made in code when first needed: where it did, they are taken over as they are.

-- One row per person as a CRM may know them.
CREATE TABLE IF NOT EXISTS identity.persons (
    cio_id               VARCHAR,
    external_id          VARCHAR,
    email                VARCHAR,    -- normalized
    phone                VARCHAR,    -- E.164
    first_name           VARCHAR,
    last_name            VARCHAR,
    email_owner          BOOLEAN,
    external_id_owner    BOOLEAN,
    deliverable          BOOLEAN,    -- owns the e-mail that a CRM record could be made with
    undeliverable_reason VARCHAR,
    changed_at           TIMESTAMP,  -- as-of of the window in which any of the above last changed
    content_hash         UBIGINT,
    known_since          TIMESTAMP,  -- what ownership goes by
    source_hash          UBIGINT     -- content hash of the raw row this was made from
);

-- One row per person and match key that somebody else owns.
CREATE TABLE IF NOT EXISTS identity.key_clashes (
    match_key    VARCHAR,    -- 'email', 'external_id'
    value_hash   VARCHAR,    -- SHA-256
    cio_id       VARCHAR,
    owner_cio_id VARCHAR,
    reason       VARCHAR,
    window_key   VARCHAR
);

-- One row per spelling of a phone that is not in E.164 already: each is parsed once ever.
CREATE TABLE IF NOT EXISTS identity.phone_map (
    raw         VARCHAR,
    e164        VARCHAR,     -- NULL: no valid number
    valid       BOOLEAN,
    lib_version VARCHAR,
    region      VARCHAR      -- that numbers without a country code were read in
);

-- One row per lane: what its state table was derived with (a hash of columns, types, rules, zone, DuckDB major).
CREATE TABLE IF NOT EXISTS state.versions (
    lane       VARCHAR,
    version    VARCHAR,
    since      TIMESTAMP,
    window_key VARCHAR
);

-- One row per expect_next property and group: the gap that people without one of their own go by.
CREATE TABLE IF NOT EXISTS state.median_gaps (
    property    VARCHAR,
    group_value VARCHAR,     -- NULL: everybody
    days        BIGINT
);

-- Whose attributes are to be fetched: who entered or left a segment, or (without one) did something.
CREATE TABLE IF NOT EXISTS raw.membership_changes (
    segment_id  BIGINT,
    cio_id      VARCHAR,
    external_id VARCHAR,
    change      VARCHAR,     -- 'entered', 'left', 'moment'
    noted_at    TIMESTAMP
);

-- Segments whose last count nothing explained, and since when that has been so at every look.
CREATE TABLE IF NOT EXISTS raw.segments_unexplained (
    segment_id BIGINT,
    since      TIMESTAMP
);

-- One row: when all members were last gone through for who is to be looked at again, and how many then were left.
CREATE TABLE IF NOT EXISTS raw.members_checked (
    checked_at TIMESTAMP,
    stale      BIGINT
);

-- Whom Customer.io was found not to know since the newest snapshot.
CREATE TABLE IF NOT EXISTS raw.people_gone (
    cio_id      VARCHAR,
    observed_at TIMESTAMP
);

-- Which list of HubSpot an audience's acknowledged members are on: another one starts empty.
CREATE TABLE IF NOT EXISTS delivery.hubspot_lists (
    audience VARCHAR,
    list_id  VARCHAR
);

-- One row per Pipedrive person as last seen; times by the vendor's clock, UTC.
CREATE TABLE IF NOT EXISTS delivery.pipedrive_persons (
    person_id   VARCHAR,
    name        VARCHAR,
    emails      VARCHAR,     -- JSON array, lower case
    external_id VARCHAR,     -- our id field
    audiences   VARCHAR,     -- JSON array of option ids of the audiences field, a colleague's among them
    update_time TIMESTAMP,
    is_deleted  BOOLEAN,
    mirrored_at TIMESTAMP    -- as-of of the window that saw it
);
-- JSON object: values of the fields that stay as a human changed them, under logical names; '' is no value.
ALTER TABLE delivery.pipedrive_persons ADD COLUMN IF NOT EXISTS fields VARCHAR;

-- One row: where the next walk starts, and the field codes the mirror was read with.
CREATE TABLE IF NOT EXISTS delivery.pipedrive_mirror_state (
    watermark TIMESTAMP,
    codes     VARCHAR
);

-- Records that were a person's and are no more: deleted or merged in Pipedrive, or given up by us.
CREATE TABLE IF NOT EXISTS delivery.pipedrive_released (
    cio_id      VARCHAR,
    record_id   VARCHAR,
    released_at TIMESTAMP
);

-- Which field code each shadow column was last written to, and which option id each label (option:<column>:<label>):
-- another code or id means that the old one was deleted, and the values with it.
CREATE TABLE IF NOT EXISTS delivery.pipedrive_field_codes (
    field VARCHAR,
    code  VARCHAR
);
