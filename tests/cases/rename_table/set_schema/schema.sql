CREATE SCHEMA crm;
CREATE TABLE users (id bigserial PRIMARY KEY, boss bigint REFERENCES users, email text);
CREATE INDEX users_email_idx ON users (email);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users);
CREATE VIEW emails AS SELECT email FROM users;
INSERT INTO users (email) SELECT 'u' || i FROM generate_series(1, 200) AS i;
INSERT INTO orders SELECT i, i FROM generate_series(1, 50) AS i;
