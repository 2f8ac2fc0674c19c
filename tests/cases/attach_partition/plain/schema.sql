CREATE TABLE kinds (name text PRIMARY KEY);
INSERT INTO kinds SELECT 'k' || i FROM generate_series(0, 4) AS i;
CREATE TABLE events (
    id bigint NOT NULL,
    kind text NOT NULL REFERENCES kinds,
    at timestamptz NOT NULL,
    note text CHECK (note <> ''),
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX events_kind_idx ON events (kind);
CREATE INDEX events_lower_idx ON events (lower(note)) WHERE note IS NOT NULL;
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO events SELECT i, 'k' || i % 5, '2024-01-01'::timestamptz + i * interval '1 hour', 'n' || i FROM generate_series(0, 999) AS i;

-- Filled elsewhere, with one index that will do.
CREATE TABLE events_2025 (
    id bigint NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    note text CONSTRAINT events_note_check CHECK (note <> '')
);
INSERT INTO events_2025 SELECT i, 'k' || i % 5, '2025-01-01'::timestamptz + i * interval '1 hour', 'n' || i FROM generate_series(0, 999) AS i;
CREATE INDEX by_kind ON events_2025 (kind);
