CREATE TABLE IF NOT EXISTS users (id int PRIMARY KEY, other text);
CREATE TABLE IF NOT EXISTS settings (key text PRIMARY KEY, value jsonb);
