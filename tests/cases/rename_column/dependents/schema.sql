CREATE TABLE rooms (
    id bigint PRIMARY KEY,
    during int4range NOT NULL,
    place text NOT NULL CHECK (place <> 'during'),
    slot int UNIQUE DEFERRABLE INITIALLY DEFERRED,
    lower_slot int GENERATED ALWAYS AS (slot / 10) STORED,
    EXCLUDE USING gist (during WITH &&),
    CONSTRAINT far CHECK (slot <> 13 OR place = 'x')
);
ALTER TABLE rooms ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON rooms USING (slot < 1000000000);
CREATE VIEW seen AS SELECT id, slot, during FROM rooms WHERE slot > 1 ORDER BY slot;
CREATE STATISTICS together ON place, slot FROM rooms;
CREATE PUBLICATION of_rooms FOR TABLE rooms;
INSERT INTO rooms SELECT i, int4range(i, i + 1), 'p' || i % 7, i * 20 FROM generate_series(1, 400) AS i;
