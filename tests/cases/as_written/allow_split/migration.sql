-- concertina:allow split-file reason: nobody misses these values, and both names are asked for under the lock
ALTER TABLE settings
    DROP COLUMN score,
    ADD COLUMN score boolean NOT NULL DEFAULT false,
    DROP COLUMN "Höchstwert",
    ADD COLUMN "Höchstwert" bigint;
