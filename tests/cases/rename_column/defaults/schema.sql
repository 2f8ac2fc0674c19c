CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    n bigint,
    state text DEFAULT 'waiting',
    made timestamptz DEFAULT now(),
    token uuid DEFAULT gen_random_uuid()
);
INSERT INTO jobs (n, state, made, token)
SELECT i, CASE i % 3 WHEN 0 THEN 'done' WHEN 1 THEN 'waiting' END, '2020-01-01', md5(i::text)::uuid FROM generate_series(1, 800) AS i;
