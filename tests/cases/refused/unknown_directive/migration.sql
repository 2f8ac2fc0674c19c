-- concertina: pray users
ALTER TABLE users ADD COLUMN x int;
