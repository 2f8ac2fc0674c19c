-- concertina:keep-before-image
UPDATE counters SET n = 1;
