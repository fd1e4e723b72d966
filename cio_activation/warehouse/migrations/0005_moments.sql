-- One row per event that a webhook brought, each once: (source, event_id) is unique, held by the query that lands them.
CREATE TABLE raw.moments (
    source       VARCHAR,    -- 'reporting', 'journey'
    event_id     VARCHAR,
    kind         VARCHAR,    -- 'email_clicked', 'cart_updated', ...
    cio_id       VARCHAR,    -- NULL if the event names its person otherwise, or not at all
    external_id  VARCHAR,
    email        VARCHAR,    -- lower case
    occurred_at  TIMESTAMP,  -- by the event itself; NULL if it cannot be read
    machine      BOOLEAN,    -- a bot's click or a prefetched opening
    delivery_id  VARCHAR,
    problem      VARCHAR,    -- why it cannot be used: the reason in quarantine.rows; NULL: it can
    body         JSON,       -- NULL if it is no JSON: then it is in quarantine as text
    received_at  TIMESTAMP,
    landed_in    VARCHAR     -- the window whose run landed it; says nothing about when it happened
);
