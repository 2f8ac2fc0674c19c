ALTER TABLE posts ADD FOREIGN KEY (title) REFERENCES users (email);
