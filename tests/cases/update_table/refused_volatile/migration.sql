UPDATE users SET name = random()::text WHERE random() < 0.5;
