-- Raw files that could not be used: kept for a person to look at, with the reason.
CREATE TABLE raw.files_set_aside (
    lane VARCHAR, window_key VARCHAR, kind VARCHAR, path VARCHAR, sha256 VARCHAR, reason VARCHAR, set_aside_at TIMESTAMP
);
