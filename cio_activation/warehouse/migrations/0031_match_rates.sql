-- How everybody was matched at a destination, as of a daily window: each person under exactly one outcome.
CREATE TABLE outcome.match_rates (
    destination  VARCHAR,
    window_key   VARCHAR,
    window_end   TIMESTAMP,
    outcome      VARCHAR,     -- 'key', 'email', 'phone', 'created', 'clashing', 'ambiguous', 'no_identifier', 'gone', 'not_found', 'not_asked'
    people       BIGINT,
    in_audiences BIGINT       -- of these, who is in an audience
);
