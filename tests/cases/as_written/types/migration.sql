CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE float_range AS RANGE (subtype = float8);
CREATE TABLE feelings (id int PRIMARY KEY, mood mood NOT NULL DEFAULT 'ok', p pair, n positive);
INSERT INTO feelings VALUES (1, 'sad', ROW(1, 'x'), 3), (2, 'happy', NULL, NULL);
