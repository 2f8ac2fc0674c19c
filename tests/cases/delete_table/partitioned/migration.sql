DELETE FROM events WHERE at < now();
