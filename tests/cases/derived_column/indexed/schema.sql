CREATE TABLE users (
    id bigint PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL,
    age int,
    "Land ""x""" text,
    seen boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX ON users (email);
CREATE INDEX ON users (age, lower(name));
CREATE INDEX ON users ("Land ""x""") WHERE age > 10;
CREATE INDEX ON users (email, name);
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.seen := true; RETURN NEW; END';
CREATE TRIGGER remember BEFORE UPDATE OF age ON users FOR EACH ROW EXECUTE FUNCTION remember();
INSERT INTO users SELECT i, 'u' || i || '@example.org', 'User ' || i, i % 90, CASE WHEN i % 3 = 0 THEN 'Å' END
FROM generate_series(1, 2000) AS i;
