CREATE TABLE users (
    id bigint PRIMARY KEY,
    email text NOT NULL,
    name text,
    age int DEFAULT 18
);
INSERT INTO users SELECT i, 'u' || i || '@example.org', CASE WHEN i % 7 = 0 THEN NULL ELSE 'User ' || i END, i % 90
FROM generate_series(1, 2000) AS i;

CREATE TABLE audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint, old_age int, new_age int);
CREATE FUNCTION audit_users() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (user_id, old_age, new_age) VALUES (NEW.id, OLD.age, NEW.age);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_users AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION audit_users();
