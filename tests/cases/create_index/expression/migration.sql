CREATE INDEX users_lower_idx ON users (lower(email), (age + 1)) WHERE age > 20;
CREATE INDEX ON users ((name || 'x;y')) WHERE name IS NOT NULL;
CREATE INDEX users_incl ON users USING btree (age) INCLUDE (name, email) WITH (fillfactor = 80);
CREATE INDEX users_hash ON users USING hash (email);
