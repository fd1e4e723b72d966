-- What is deferred keeps its place: a later plan takes up the first of it, without making the plan of all of it again.
ALTER TABLE delivery.deferred ADD COLUMN IF NOT EXISTS operation_id VARCHAR;  -- as the guards let it through
ALTER TABLE delivery.deferred ADD COLUMN IF NOT EXISTS kind VARCHAR;
ALTER TABLE delivery.deferred ADD COLUMN IF NOT EXISTS exits BOOLEAN;         -- takes something back: goes first
ALTER TABLE delivery.deferred ADD COLUMN IF NOT EXISTS newest TIMESTAMP;      -- when Customer.io told of the person
ALTER TABLE delivery.deferred ADD COLUMN IF NOT EXISTS place BIGINT;          -- in the plan that left it over
ALTER TABLE delivery.deferred ADD COLUMN IF NOT EXISTS tries INTEGER;         -- how often it was sent to no end
