CREATE TABLE kinds (name text PRIMARY KEY);
INSERT INTO kinds VALUES ('a');
CREATE TABLE events (
    id bigint NOT NULL,
    kind text REFERENCES kinds,
    note text,
    CONSTRAINT note_there CHECK (note <> ''),
    PRIMARY KEY (id),
    CONSTRAINT "both" UNIQUE (id, kind)
) PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (1000) TO (9000000000);
INSERT INTO events SELECT i, 'a' FROM generate_series(0, 1999) AS i;
