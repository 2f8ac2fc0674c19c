-- concertina:keep-before-image
DELETE FROM events WHERE at < now();
