-- Moments as a source: which moment an entry is by now, and which window first knew whom a moment was about.
ALTER TABLE raw.moments ADD COLUMN IF NOT EXISTS named_in VARCHAR; -- the window whose run found its person
ALTER TABLE audience.memberships ADD COLUMN IF NOT EXISTS moment_id VARCHAR;    -- newest moment of an entry that started from one
ALTER TABLE audience.memberships ADD COLUMN IF NOT EXISTS moment_at TIMESTAMP;  -- when that happened
