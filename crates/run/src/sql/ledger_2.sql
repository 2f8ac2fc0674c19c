-- The ledger, version 2: how time went by within steps, for `concertina report`. Adds only; runs as version 1 does.

CREATE TABLE IF NOT EXISTS concertina.span (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Names a step as concertina.step does. Without a reference: who may write the ledger need not own it.
    migration bigint      NOT NULL,
    direction text        NOT NULL CHECK (direction IN ('forward', 'undo')),
    ordinal   integer     NOT NULL,
    sub       integer     NOT NULL,
    -- run, wait, given_up, locks, stall, rows. A reader leaves out what it does not know.
    kind      text        NOT NULL,
    began_at  timestamptz NOT NULL,
    ended_at  timestamptz NOT NULL,
    message   text        NOT NULL,
    -- How many stretches of time close to each other this row sums up, and how long they are without the gaps.
    times     integer     NOT NULL,
    busy_ms   double precision NOT NULL,
    -- Of stall: sessions that waited, their waits, the longest. Of rows: rows written.
    victims   integer     NOT NULL,
    victim_ms double precision NOT NULL,
    worst_ms  double precision NOT NULL,
    rows      bigint      NOT NULL
);
CREATE INDEX IF NOT EXISTS span_migration_idx ON concertina.span (migration);
COMMENT ON TABLE concertina.span IS 'Concertina: how time went by within steps; only reports read it';

UPDATE concertina.meta SET version = 2 WHERE version < 2;
