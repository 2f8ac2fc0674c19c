CREATE TABLE kinds (name text PRIMARY KEY);
INSERT INTO kinds VALUES ('a'), ('b');
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE events (
    id bigint NOT NULL DEFAULT 7,
    kind text NOT NULL REFERENCES kinds,
    note text CHECK (note <> ''),
    twice bigint GENERATED ALWAYS AS (id * 2) STORED,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
ALTER TABLE events ALTER note SET STORAGE external;
CREATE INDEX ON events (kind);
CREATE TRIGGER noop BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION noop();
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (3000000000);
INSERT INTO events SELECT i, 'a' FROM generate_series(0, 999) AS i;
