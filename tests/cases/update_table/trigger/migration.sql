UPDATE users SET age = age + 1 WHERE age > 60;
