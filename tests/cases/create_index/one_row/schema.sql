CREATE TABLE settings (id bigint PRIMARY KEY, title text NOT NULL);
INSERT INTO settings VALUES (1, 'one');
