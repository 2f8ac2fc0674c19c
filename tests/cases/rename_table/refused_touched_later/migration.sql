ALTER TABLE users RENAME TO people;
ALTER TABLE people ADD COLUMN age int;
