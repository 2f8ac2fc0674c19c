-- concertina:keep-before-image
UPDATE events SET note = kind || '!' WHERE note IS NULL;
