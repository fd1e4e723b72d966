-- Nobody else has the number, and match.phone is on: the person may be found by it.
ALTER TABLE identity.persons ADD COLUMN phone_owner BOOLEAN;
-- JSON array of E.164; NULL where numbers are no match key.
ALTER TABLE delivery.pipedrive_persons ADD COLUMN phones VARCHAR;
-- The number that was looked for beside looked_up_email.
ALTER TABLE delivery.links ADD COLUMN looked_up_phone VARCHAR;
-- With an extension it is no number of a person any more: such spellings are read once again.
DELETE FROM identity.phone_map WHERE regexp_matches(raw, '[xX#;~]');
