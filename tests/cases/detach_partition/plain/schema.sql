CREATE TABLE kinds (name text PRIMARY KEY);
INSERT INTO kinds SELECT 'k' || i FROM generate_series(0, 4) AS i;
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL REFERENCES kinds, note text) PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (1000) TO (9000000000);
CREATE INDEX ON events (kind);
CREATE TRIGGER noop BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION noop();
INSERT INTO events SELECT i, 'k' || i % 5 FROM generate_series(0, 1999) AS i;
