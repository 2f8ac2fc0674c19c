CREATE TABLE t (id int PRIMARY KEY, a varchar(10), b text GENERATED ALWAYS AS (a || 'x') STORED);
