UPDATE users AS u SET name = upper(u.name) WHERE u.age > 40 AND name IS NOT NULL;
