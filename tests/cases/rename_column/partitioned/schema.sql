CREATE TABLE events (id bigint, region text NOT NULL, at date NOT NULL, kind text NOT NULL, PRIMARY KEY (id, at, region)) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2024-07-01') TO ('2025-01-01') PARTITION BY LIST (region);
CREATE TABLE events_2_eu PARTITION OF events_2 FOR VALUES IN ('eu');
CREATE TABLE events_2_us PARTITION OF events_2 DEFAULT;
CREATE INDEX events_kind ON events (kind, at);
CREATE INDEX events_1_only ON events_1 (lower(kind));
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.kind := upper(NEW.kind); RETURN NEW; END$$;
CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON events_2_eu FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO events SELECT i, CASE i % 3 WHEN 0 THEN 'eu' ELSE 'us' END, date '2024-01-01' + i % 360, 'k' || i
FROM generate_series(1, 900) AS i;
