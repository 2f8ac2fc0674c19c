DROP VIEW titles;

ALTER TABLE posts ALTER COLUMN "Name" TYPE varchar(200);

CREATE VIEW titles AS SELECT id, "Name", length("Name") AS long FROM posts;
