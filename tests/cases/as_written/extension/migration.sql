CREATE EXTENSION citext;
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE people (id int PRIMARY KEY, email citext NOT NULL UNIQUE);
INSERT INTO people VALUES (1, 'A@b'), (2, 'c@D');
