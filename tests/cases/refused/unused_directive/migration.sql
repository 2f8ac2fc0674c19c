-- concertina: fill y = 1
ALTER TABLE users ADD COLUMN x int;
