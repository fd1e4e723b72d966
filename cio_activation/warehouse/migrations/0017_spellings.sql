-- E-mails of the mirror are compared in another form now: another list of codes has it filled anew by the next walk.
UPDATE delivery.pipedrive_mirror_state SET codes = concat('respelled:', codes);
