-- What follows when nobody touches an action in time.

ALTER TABLE audience.assignments ADD COLUMN raised_at TIMESTAMP;
-- ^ of the window that raised the action's priority; NULL: never
ALTER TABLE delivery.actions ADD COLUMN raised BOOLEAN DEFAULT false;
-- ^ the destination took the higher priority

-- Each step that was taken about an action nobody had touched. Append-only.
CREATE TABLE audience.escalations (
    entry_id    VARCHAR,
    audience    VARCHAR,
    cio_id      VARCHAR,
    destination VARCHAR,
    step        INTEGER,     -- 1 or 2
    does        VARCHAR,     -- 'raise_priority', 'reassign', 'tell'
    had_by      VARCHAR,     -- the destination's id of who had not touched it
    as_of       TIMESTAMP    -- of the window that decided it
);
