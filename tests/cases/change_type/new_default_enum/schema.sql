CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE people (id int PRIMARY KEY, shown boolean NOT NULL DEFAULT true, feels mood NOT NULL DEFAULT 'sad');
CREATE INDEX ON people (feels, id);
INSERT INTO people SELECT i, i % 3 = 0, (ARRAY['sad', 'happy']::mood[])[1 + i % 2] FROM generate_series(1, 400) AS i;
