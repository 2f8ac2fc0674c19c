CREATE TABLE t (id int PRIMARY KEY, a varchar(10), b varchar(10) CHECK (b <> ''), n int);
CREATE INDEX t_a ON t (lower(a));
INSERT INTO t SELECT i, 'a' || i, 'b' || i, i FROM generate_series(1, 300) AS i;
