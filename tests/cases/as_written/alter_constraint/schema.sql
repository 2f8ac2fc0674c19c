CREATE TABLE users (id bigint PRIMARY KEY);
CREATE TABLE "Orders" (id bigint PRIMARY KEY, user_id bigint CONSTRAINT "Of user" REFERENCES users ON DELETE CASCADE, note text);
CREATE INDEX orders_note ON "Orders" (note);
INSERT INTO users SELECT i FROM generate_series(1, 300) AS i;
INSERT INTO "Orders" SELECT i, 1 + i % 300 FROM generate_series(1, 300) AS i;
