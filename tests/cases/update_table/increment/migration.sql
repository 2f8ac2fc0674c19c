UPDATE users SET age = age + 1;
