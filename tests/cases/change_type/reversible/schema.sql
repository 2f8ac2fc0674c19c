CREATE TABLE notes (id int PRIMARY KEY, body text NOT NULL, "Tïtle" varchar);
INSERT INTO notes SELECT i, 'body ' || i, 'title' FROM generate_series(1, 500) AS i;
