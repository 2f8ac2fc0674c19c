CREATE TABLE alike (
    id int PRIMARY KEY,
    a varchar(10),
    b varchar(10),
    c text,
    d numeric(5,2),
    e numeric(5,2),
    f timestamp(3),
    g timestamptz(0),
    h time(2),
    i timetz(1),
    j interval(0),
    k cidr,
    l varbit(3),
    m varbit(3),
    n int,
    o oid,
    p timestamptz
);
CREATE INDEX ON alike (a);
CREATE INDEX ON alike (b);
CREATE INDEX ON alike (c);
CREATE INDEX ON alike (d);
CREATE INDEX ON alike (e);
CREATE INDEX ON alike (f);
CREATE INDEX ON alike (g);
CREATE INDEX ON alike (h);
CREATE INDEX ON alike (i);
CREATE INDEX ON alike (j);
CREATE INDEX ON alike (k);
CREATE INDEX ON alike (l);
CREATE INDEX ON alike (m);
CREATE INDEX ON alike (p);
INSERT INTO alike SELECT i, 'x' || i, 'x' || i, 'x' || i, i % 900, i % 900, timestamptz '2024-01-01 12:00+00', timestamptz '2024-01-01 12:00+00', time '12:00', timetz '12:00+00', make_interval(secs => i), '10.0.0.0/8'::cidr, B'101'::varbit, B'101'::varbit, i, i::oid, timestamptz '2024-01-01 12:00+00'
FROM generate_series(1, 300) AS i;
