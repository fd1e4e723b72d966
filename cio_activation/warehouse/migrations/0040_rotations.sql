-- How often an audience's rotation came round by assignments that are no longer kept: who is next counts them, too.
CREATE TABLE audience.rotations (
    audience    VARCHAR,
    destination VARCHAR,
    given       BIGINT
);
