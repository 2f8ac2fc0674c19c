CREATE TABLE users (id bigint PRIMARY KEY, email text);
CREATE FUNCTION count_users() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users';
CREATE FUNCTION find_user(wanted text) RETURNS users LANGUAGE plpgsql AS $$
DECLARE found_one public."users"%ROWTYPE; BEGIN SELECT * INTO found_one FROM users WHERE email = wanted; RETURN found_one; END $$;
CREATE FUNCTION dynamic(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('DELETE FROM %I', t); END $$;
INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 100) AS i;
