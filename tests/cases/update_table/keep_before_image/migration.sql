-- concertina:keep-before-image
UPDATE users SET age = age + 10, name = coalesce(name, 'nobody') WHERE age < 50 OR name IS NULL;
