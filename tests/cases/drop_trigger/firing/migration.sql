DROP TRIGGER always ON users;
DROP TRIGGER replica ON users;
DROP TRIGGER never ON users;
