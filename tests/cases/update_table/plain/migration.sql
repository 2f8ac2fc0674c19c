UPDATE users SET email = lower(email), name = coalesce(name, 'nobody');
