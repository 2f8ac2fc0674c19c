INSERT INTO users (id, email, name, age) VALUES (5001, 'a@b', 'it''s; A', 1), (5002, 'c@d', NULL, DEFAULT);
