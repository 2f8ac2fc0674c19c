CREATE TABLE measurements (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    value double precision,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE measurements_2025 PARTITION OF measurements FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE measurements_2026 PARTITION OF measurements FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX measurements_value_idx ON measurements (value);
