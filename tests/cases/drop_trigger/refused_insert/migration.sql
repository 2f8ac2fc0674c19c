DROP TRIGGER users_touch ON users;
INSERT INTO users (id) VALUES (1);
