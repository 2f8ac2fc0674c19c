CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    "Age" int DEFAULT 18,
    twice int GENERATED ALWAYS AS ("Age" * 2) STORED
);
INSERT INTO users (email, "Age") SELECT 'u' || i, i % 90 FROM generate_series(1, 2000) AS i;
