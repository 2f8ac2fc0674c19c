CREATE TABLE users (
    id bigint PRIMARY KEY,
    email text NOT NULL,
    name text,
    age int DEFAULT 18,
    twice int GENERATED ALWAYS AS (age * 2) STORED
);
CREATE INDEX ON users (age);
INSERT INTO users SELECT i, 'u' || i || '@example.org', CASE WHEN i % 7 = 0 THEN NULL ELSE 'User ' || i END, i % 90
FROM generate_series(1, 2000) AS i;

-- What a trigger derives from a row goes forth and back with it.
CREATE TABLE total (sum bigint NOT NULL);
INSERT INTO total SELECT sum(age) FROM users;
CREATE FUNCTION add_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE total SET sum = sum + coalesce(NEW.age, 0) - coalesce(OLD.age, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER add_up AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION add_up();
