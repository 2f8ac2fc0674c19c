CREATE TABLE unlike (
    id int PRIMARY KEY,
    a varchar(10),
    b text,
    c char(3),
    d numeric(5,2),
    e int,
    f timestamptz,
    g varchar(3)[],
    h inet
);
INSERT INTO unlike SELECT i, 'x' || i, 'x' || i, 'x', i % 900, i, timestamptz '2024-01-01 12:00+00', ARRAY['x'], '10.0.0.0/8'::inet FROM generate_series(1, 300) AS i;
