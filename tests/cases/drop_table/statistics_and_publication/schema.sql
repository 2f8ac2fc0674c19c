CREATE TABLE t (id bigint PRIMARY KEY, a int, b int);
CREATE TABLE other (id bigint PRIMARY KEY);
CREATE STATISTICS t_stat (dependencies) ON a, b FROM t;
CREATE PUBLICATION p FOR TABLE t, other;
INSERT INTO t SELECT i, i % 7, i % 7 FROM generate_series(1, 300) AS i;
