-- The ledger, version 4: rows whose value in a column could not be computed when they were written. Adds only; runs as version 1 does.

CREATE TABLE IF NOT EXISTS concertina.quarantine (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- By name: a trigger writes it, and knows no more.
    migration text        NOT NULL,
    -- As the plan spells them.
    relation  text        NOT NULL,
    attribute text        NOT NULL,
    -- The row's key, each column as text; empty where the table has none, and one entry stands for all its rows.
    key       text[]      NOT NULL,
    sqlstate  text        NOT NULL,
    message   text        NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Somebody gave the value.
    settled   boolean     NOT NULL DEFAULT false
);
-- Not unique: two writers of one row must not wait for each other here, where an upsert comes before it has locked the row. And by hash,
-- so that no key is too long for it.
CREATE INDEX IF NOT EXISTS quarantine_key_idx ON concertina.quarantine USING hash (key);
COMMENT ON TABLE concertina.quarantine IS 'Concertina: rows written while a value could not be computed; the rows themselves say which still wait';

UPDATE concertina.meta SET version = 4 WHERE version < 4;
