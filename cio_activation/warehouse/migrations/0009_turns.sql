-- In which order tables were published: what was made from another table later than that one is up to date with it.
ALTER TABLE meta.published ADD COLUMN IF NOT EXISTS turn BIGINT;    -- rises with every publication; NULL: before this
