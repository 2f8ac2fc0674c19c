-- The ledger, version 1. Runs inside one transaction under an advisory lock, and again whenever parts are missing.

CREATE TABLE IF NOT EXISTS concertina.meta (
    only_row          boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    version           integer     NOT NULL,
    -- Both tell a copy that was restored elsewhere from the original. NULL: adopt whatever it is at the next run.
    system_identifier text,
    database_oid      oid,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE concertina.meta IS 'Concertina: version of the ledger, and the database it was made in';

CREATE TABLE IF NOT EXISTS concertina.migration (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE,
    -- Empty: it was accepted that the file is gone.
    checksum   text        NOT NULL,
    state      text        NOT NULL CHECK (state IN
                   ('expanding', 'expanded', 'contracting', 'done', 'undoing', 'undone')),
    -- Ran as written, by apply --simple.
    simple     boolean     NOT NULL,
    -- The plan that is being run, as text that is never reformatted; NULL for a simple one, and for one that was recorded as
    -- applied (a baseline): that one is not simple either.
    plan       json,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    by         text        NOT NULL,
    error      text
);
COMMENT ON TABLE concertina.migration IS 'Concertina: migrations that have begun';

CREATE TABLE IF NOT EXISTS concertina.step (
    migration     bigint           NOT NULL REFERENCES concertina.migration ON DELETE CASCADE,
    -- An undo step is named by the plan step that it undoes (ordinal) and its place in that step's undo (sub).
    direction     text             NOT NULL CHECK (direction IN ('forward', 'undo')),
    ordinal       integer          NOT NULL,
    sub           integer          NOT NULL,
    state         text             NOT NULL CHECK (state IN ('running', 'done', 'failed', 'undone')),
    attempts      integer          NOT NULL DEFAULT 1,
    rows          bigint,
    cursor        json,
    victim_ms     double precision NOT NULL DEFAULT 0,
    lock_wait_ms  double precision NOT NULL DEFAULT 0,
    -- The backend that runs or ran it: what a resuming runner has to end first.
    backend_pid   integer,
    backend_start text,
    started_at    timestamptz      NOT NULL DEFAULT clock_timestamp(),
    finished_at   timestamptz,
    error         text,
    PRIMARY KEY (migration, direction, ordinal, sub)
);
COMMENT ON TABLE concertina.step IS 'Concertina: steps that have begun; a transactional step commits its row with its effect';

CREATE TABLE IF NOT EXISTS concertina.event (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    migration text,
    kind      text        NOT NULL,
    message   text        NOT NULL,
    data      json,
    by        text        NOT NULL
);
COMMENT ON TABLE concertina.event IS 'Concertina: what happened, append-only';

-- One row. No index but the primary key: an UPDATE of the others then takes FOR NO KEY UPDATE, which does not wait for the
-- FOR KEY SHARE of running steps, while a takeover's FOR UPDATE does.
CREATE TABLE IF NOT EXISTS concertina.lease (
    only_row      boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    token         uuid,
    holder        text,
    backend_pid   integer,
    backend_start text,
    acquired_at   timestamptz,
    heartbeat_at  timestamptz
) WITH (fillfactor = 20);
COMMENT ON TABLE concertina.lease IS 'Concertina: the runner at work; token is NULL when nobody is';

INSERT INTO concertina.lease DEFAULT VALUES ON CONFLICT DO NOTHING;
INSERT INTO concertina.meta (version) VALUES (1) ON CONFLICT DO NOTHING;
