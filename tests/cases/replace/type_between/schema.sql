CREATE TABLE posts (id bigint PRIMARY KEY, "Name" varchar(100) NOT NULL);
INSERT INTO posts SELECT i, 'post ' || i FROM generate_series(1, 2000) AS i;
CREATE VIEW titles AS SELECT id, "Name" FROM posts;
