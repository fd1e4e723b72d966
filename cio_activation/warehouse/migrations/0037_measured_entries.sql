-- First entries of measured audiences, a person once per version: what was so at the entry, and what it came to until the
-- span of `measure.within` was over. Held-out people have their row like all others.
CREATE TABLE outcome.entries (
    audience       VARCHAR,
    version        INTEGER,
    cio_id         VARCHAR,
    entry_id       VARCHAR,
    ghost          BOOLEAN,
    holdout        DOUBLE,    -- the part of people who were to be held out when it was drawn
    entered_at     TIMESTAMP,
    closes_at      TIMESTAMP, -- entered_at and measure.within
    lapsed         BOOLEAN,   -- had bought, and not for measure.lapsed_after
    bought_before  TIMESTAMP, -- last purchase known at the entry
    orders_before  BIGINT,    -- as the attributes said at the entry; NULL: nothing was declared, or they did not say
    spent_before   DOUBLE,
    orders         BIGINT,    -- since the entry, as of read_at
    revenue        DOUBLE,    -- the same; NULL: nothing is declared to tell
    read_at        TIMESTAMP, -- as-of of the daily window that last read something new
    closed_at      TIMESTAMP, -- as-of of the daily window that found it over; NULL: not over yet
    actions        BIGINT,    -- made for the person within the span
    done           BIGINT,    -- of these done by a human
    acted_at       TIMESTAMP, -- when the first was
    synced         BOOLEAN    -- a CRM took the person into the audience, or an action for it
);
