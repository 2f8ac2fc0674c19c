DROP TRIGGER users_count ON users;
DROP TRIGGER later ON users;
DROP FUNCTION count_up();
