DROP TRIGGER "Stickied" ON posts;
DROP FUNCTION count_up;
ALTER TABLE posts DROP COLUMN stickied;
