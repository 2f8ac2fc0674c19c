-- The ledger, version 3: what was expected of each step beside what it took, and how fast this server is. Adds only; runs as
-- version 1 does.

CREATE TABLE IF NOT EXISTS concertina.estimate (
    -- Names a forward step as concertina.step does. Without a reference, as concertina.span.
    migration      bigint           NOT NULL,
    ordinal        integer          NOT NULL,
    -- Estimates from before the migration began anew are of another run.
    made_at        timestamptz      NOT NULL DEFAULT clock_timestamp(),
    low_seconds    double precision NOT NULL,
    high_seconds   double precision NOT NULL,
    -- How many measured steps it goes by; 0: none.
    samples        integer          NOT NULL,
    -- Kind of work and how much of it: rows, bytes, or 1 for a short step.
    measure        text             NOT NULL,
    amount         bigint           NOT NULL,
    keeps_bytes    bigint           NOT NULL,
    passing_bytes  bigint           NOT NULL,
    wal_bytes      bigint           NOT NULL,
    -- What came of it: seconds at work by the journal, those that it waited included, and those that it waited. NULL while it is
    -- not done.
    took_seconds   double precision,
    waited_seconds double precision,
    PRIMARY KEY (migration, ordinal)
);
COMMENT ON TABLE concertina.estimate IS 'Concertina: what was expected of each step, and what it took';

CREATE TABLE IF NOT EXISTS concertina.rate (
    id            bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at            timestamptz      NOT NULL DEFAULT clock_timestamp(),
    measure       text             NOT NULL,
    amount        double precision NOT NULL,
    -- At work, waits left out.
    seconds       double precision NOT NULL,
    -- What a backfill was allowed: share of the time, seconds a batch.
    load          double precision NOT NULL,
    batch_seconds double precision NOT NULL
);
CREATE INDEX IF NOT EXISTS rate_measure_idx ON concertina.rate (measure, id);
COMMENT ON TABLE concertina.rate IS 'Concertina: how fast steps went on this server, append-only; estimates go by it';

UPDATE concertina.meta SET version = 3 WHERE version < 3;
