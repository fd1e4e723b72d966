-- Whom a moment was about, where the event says it by id or e-mail only. To be named: cio_id and problem are NULL.
ALTER TABLE raw.moments ADD COLUMN IF NOT EXISTS named_by VARCHAR;    -- what led to cio_id: 'cio_id', 'id', 'email'
ALTER TABLE raw.moments ADD COLUMN IF NOT EXISTS asked INTEGER;       -- times Customer.io said it knows nobody so named
ALTER TABLE raw.moments ADD COLUMN IF NOT EXISTS asked_at TIMESTAMP;  -- when it last said so (this machine's clock, UTC)
UPDATE raw.moments SET named_by = 'cio_id' WHERE cio_id IS NOT NULL;
