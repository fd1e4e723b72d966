-- When the destination's schema was last brought up to which activation file: a real-time run need not ask again at once.
ALTER TABLE delivery.catalog ADD COLUMN checked_at TIMESTAMP;    -- UTC
ALTER TABLE delivery.catalog ADD COLUMN fingerprint VARCHAR;     -- of the activation file
