CREATE TABLE users (id bigint PRIMARY KEY, email text CONSTRAINT users_email_key UNIQUE DEFERRABLE, name text, CONSTRAINT users_name_key UNIQUE (name) INCLUDE (email));
CREATE TABLE boss (user_id bigint CONSTRAINT boss_fk REFERENCES users ON DELETE SET NULL, id int CONSTRAINT boss_pk PRIMARY KEY);
INSERT INTO users SELECT i, 'e' || i, 'n' || i FROM generate_series(1, 300) AS i;
INSERT INTO boss SELECT i, i FROM generate_series(1, 10) AS i;
