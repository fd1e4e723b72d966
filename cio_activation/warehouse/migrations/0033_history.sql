-- What people's properties were and why they changed: one row a change, written by the derivation that made it.

-- One row per derivation that changed somebody's value.
CREATE TABLE state.derivations (
    derivation BIGINT,
    lane       VARCHAR,
    window_key VARCHAR,
    as_of      TIMESTAMP,    -- the window's end
    run_id     VARCHAR,
    activation VARCHAR,      -- fingerprint: audience.activations
    begins     VARCHAR[]     -- properties whose history begins with it: what they were for whom is not listed
);

-- Append-only, until `workspace.history_retention`. A value stood until the next change of the same property.
CREATE TABLE state.value_changes (
    derivation BIGINT,
    cio_id     VARCHAR,
    property   VARCHAR,
    before     VARCHAR,
    after      VARCHAR,
    why        VARCHAR,      -- 'clock', 'attribute', 'rule', 'last_good', 'arrived', 'departed'
    inputs     VARCHAR       -- JSON: what it was derived from
);

-- By which activation the table was derived into its present shape.
ALTER TABLE state.versions ADD COLUMN IF NOT EXISTS activation VARCHAR;

-- Each value of a person with the window it began in and the one it ended in; NULL: it stands.
CREATE VIEW outcome.why_values AS
SELECT c.cio_id, d.as_of, lead(d.as_of) OVER (PARTITION BY c.cio_id, c.property ORDER BY c.derivation) AS until,
    c.property, c.after AS value, c.before, c.why, c.inputs, c.derivation, d.lane, d.window_key, d.run_id, d.activation
FROM state.value_changes AS c JOIN state.derivations AS d ON d.derivation = c.derivation;
