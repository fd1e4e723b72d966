-- People who are to be forgotten: as long as somebody has traces of them, and what keeps them out afterwards.
CREATE SCHEMA IF NOT EXISTS privacy;

-- Whom we were asked to forget; gone once they are.
CREATE TABLE privacy.requests (
    cio_id      VARCHAR,
    person_hash VARCHAR,     -- as in privacy.tombstones
    identifiers VARCHAR[],   -- whatever names the person here: ids, addresses, numbers
    records     VARCHAR[],   -- <destination>/<record id>
    asked_at    TIMESTAMP,
    asked_by    VARCHAR,
    why         VARCHAR
);

-- Who is never taken in again, by the hash of salt and cio_id; of records that are mirrored here, of <destination>/<id>.
CREATE TABLE privacy.tombstones (
    person_hash VARCHAR,
    made_at     TIMESTAMP
);
CREATE TABLE privacy.salt (
    value VARCHAR
);

-- What was done of each person, by whoever held something of them.
CREATE TABLE privacy.receipts (
    person_hash VARCHAR,
    recipient   VARCHAR,     -- a destination, 'customerio', or 'home': this installation
    done        VARCHAR,     -- in words
    done_at     TIMESTAMP
);

-- Holds a row while files of DuckDB or the journal may hold what was deleted from them in pages that are free.
CREATE TABLE privacy.leftovers (
    since TIMESTAMP
);
