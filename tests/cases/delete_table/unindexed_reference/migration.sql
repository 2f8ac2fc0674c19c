DELETE FROM users WHERE age < 18;
