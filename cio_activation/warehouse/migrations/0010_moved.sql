-- Whom a change touched, so that who reads the table next may look at these only. Rows are few: where many are touched
-- at once, and for what was forgotten, one row says "everybody".
CREATE TABLE meta.moved (
    turn   BIGINT,     -- of the same count as published.turn
    about  VARCHAR,    -- the table that was changed: 'identity.persons', 'delivery.hubspot', ...; NULL: any of them
    cio_id VARCHAR     -- NULL: everybody
);
-- What a publication depended on besides the tables it read (a hash of definitions): another one asks for a look at all.
ALTER TABLE meta.published ADD COLUMN IF NOT EXISTS basis VARCHAR;

-- Up to where each step's newest plan has looked. One row per step that can plan for some people only.
CREATE TABLE delivery.looked (
    destination  VARCHAR,
    step         VARCHAR,
    turn         BIGINT,
    basis        VARCHAR,      -- hash of the activation and of what is known of the destination's schema
    plan_id      VARCHAR,      -- the next plan builds on this one only if it was carried out
    window_key   VARCHAR,
    everybody_at TIMESTAMP     -- as-of of the last plan that looked at everybody
);
