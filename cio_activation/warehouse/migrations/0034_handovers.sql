-- Open actions follow the owner of the person's record.

ALTER TABLE audience.assignments ADD COLUMN record_owner VARCHAR;
-- ^ the owner of the person's record when that was last looked at: at the entry, then when it changed; '': it had none;
-- NULL: there was no record, and who owns the one that we made is no change
ALTER TABLE audience.assignments ADD COLUMN given_at TIMESTAMP;
-- ^ of the window in which we last gave the action to somebody else; NULL: never
ALTER TABLE delivery.actions ADD COLUMN given_to VARCHAR;
-- ^ whom the destination took it for when we last gave it to somebody else: each time is sent once

-- Each time that an open action of ours was to go to somebody else. Append-only.
CREATE TABLE audience.handovers (
    entry_id    VARCHAR,
    audience    VARCHAR,
    cio_id      VARCHAR,
    destination VARCHAR,
    had_by      VARCHAR,     -- the destination's id of who had it
    owner_id    VARCHAR,     -- of who was to have it
    reason      VARCHAR,     -- 'record_owner': the record got another owner; 'sla': nobody touched it in time
    as_of       TIMESTAMP    -- of the window that decided it
);

-- What the CRMs said of the records whose open actions follow their owner, or wait too long: as feedback.contexts.
CREATE TABLE feedback.records (
    destination VARCHAR,
    lane        VARCHAR,
    cio_id      VARCHAR,
    record_id   VARCHAR,     -- NULL: gone
    owner_id    VARCHAR,
    handled_by  VARCHAR,
    handled_at  TIMESTAMP,
    window_key  VARCHAR,     -- it was read for: only that window is decided by it
    read_at     TIMESTAMP
);
