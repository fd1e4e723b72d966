-- A refusal may be of one field only: the others of its operation went out. NULL: of the whole operation.
ALTER TABLE delivery.rejected ADD COLUMN field VARCHAR;
-- MD5 of the refused value, never the value; '' of none. Another value is another question.
ALTER TABLE delivery.rejected ADD COLUMN value_hash VARCHAR;
-- What it waits for, where that is known ('schema', 'clash'); who else has the record; when it was last refused, UTC.
ALTER TABLE delivery.rejected ADD COLUMN cause VARCHAR;
ALTER TABLE delivery.rejected ADD COLUMN record_id VARCHAR;
ALTER TABLE delivery.rejected ADD COLUMN rival VARCHAR;
ALTER TABLE delivery.rejected ADD COLUMN refused_at TIMESTAMP;
ALTER TABLE delivery.rejected ADD COLUMN tried_window_end TIMESTAMP;
-- Nothing is parked for ever any more: what was is due at once.
UPDATE delivery.rejected SET next_try_at = TIMESTAMP '1970-01-01' WHERE next_try_at IS NULL;
