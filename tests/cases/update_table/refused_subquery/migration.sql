UPDATE users SET age = (SELECT max(age) FROM users);
