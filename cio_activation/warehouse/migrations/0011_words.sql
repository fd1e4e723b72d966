-- One word, one meaning: what release 0.1.0 stored under other names. Tables that code makes may not be there yet.
ALTER TABLE meta.moved RENAME TO change_log;
ALTER TABLE meta.change_log RENAME COLUMN turn TO sequence;
ALTER TABLE meta.change_log RENAME COLUMN about TO table_name;
ALTER TABLE meta.published RENAME COLUMN turn TO sequence;
ALTER TABLE delivery.looked RENAME TO scopes;
ALTER TABLE delivery.scopes RENAME COLUMN turn TO sequence;
ALTER TABLE delivery.held RENAME TO deferred;
ALTER TABLE delivery.plans RENAME COLUMN superseded TO unneeded;
UPDATE delivery.ledger SET "end" = 'unneeded' WHERE "end" = 'superseded';
ALTER TABLE IF EXISTS identity.conflicts RENAME TO key_clashes;
ALTER TABLE IF EXISTS identity.persons RENAME COLUMN held_reason TO undeliverable_reason;
ALTER TABLE IF EXISTS raw.members_looked RENAME TO members_checked;
ALTER TABLE IF EXISTS raw.members_checked RENAME COLUMN looked_at TO checked_at;
ALTER TABLE IF EXISTS state.fallback_gaps RENAME TO median_gaps;
ALTER TABLE IF EXISTS delivery.shadow_hubspot_daily RENAME COLUMN doubt TO in_doubt;
ALTER TABLE IF EXISTS delivery.shadow_hubspot_realtime RENAME COLUMN doubt TO in_doubt;
ALTER TABLE IF EXISTS delivery.shadow_pipedrive_daily RENAME COLUMN doubt TO in_doubt;
ALTER TABLE IF EXISTS delivery.shadow_pipedrive_realtime RENAME COLUMN doubt TO in_doubt;
