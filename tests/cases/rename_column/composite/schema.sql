CREATE TABLE shops (
    region text NOT NULL,
    code text NOT NULL,
    label text,
    PRIMARY KEY (region, code),
    UNIQUE (code, region)
);
CREATE TABLE visits (
    id bigint PRIMARY KEY,
    region text NOT NULL,
    code text,
    during int4range NOT NULL,
    EXCLUDE USING gist (during WITH &&) WHERE (code IS NOT NULL),
    CONSTRAINT at FOREIGN KEY (code, region) REFERENCES shops (code, region) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX visits_lower ON visits ((lower(code) || '/' || region)) INCLUDE (id);
CREATE INDEX visits_eu ON visits (id) WHERE region = 'eu' AND code <> 'code';
CREATE UNIQUE INDEX visits_once ON visits (region, code, id);
INSERT INTO shops SELECT r, 'c' || i FROM generate_series(1, 50) AS i, unnest(ARRAY['eu', 'us']) AS r;
INSERT INTO visits SELECT i, CASE i % 2 WHEN 0 THEN 'eu' ELSE 'us' END, 'c' || i % 50 + 1, int4range(i, i + 1) FROM generate_series(1, 500) AS i;
