UPDATE users SET email = lower(email);
DROP TRIGGER "Count" ON users;
CREATE TRIGGER "Count" BEFORE UPDATE OF n ON users FOR EACH ROW EXECUTE FUNCTION count_up();
CREATE VIEW mails AS SELECT id, email FROM users;
COMMENT ON VIEW mails IS 'made after the rows are written';
INSERT INTO users (id, email) SELECT 1000, 'New';
