-- concertina: enforce-now reason: the writers were checked by hand
ALTER TABLE posts ADD CONSTRAINT posts_author_fkey FOREIGN KEY (author) REFERENCES users (id);
