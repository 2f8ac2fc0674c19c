UPDATE users SET age = age + 10 WHERE age < 50;
