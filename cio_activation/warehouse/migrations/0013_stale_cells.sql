-- One row per value that is older than its row, because what came last was refused: the last good value stands.
CREATE TABLE raw.stale_cells (
    relation     VARCHAR,    -- the table that holds the value: 'raw.people', 'state.daily_properties'
    cio_id       VARCHAR,
    "column"     VARCHAR,    -- NULL: the whole row
    reason       VARCHAR,    -- as in quarantine.rows
    since        TIMESTAMP,  -- as-of of the window that first refused it
    last_good_at TIMESTAMP   -- when the value that stands was observed (of state: as-of); NULL: there never was one
);
