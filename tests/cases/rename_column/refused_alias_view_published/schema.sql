CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE PUBLICATION of_users FOR TABLE users;
