UPDATE events SET note = kind || '!' WHERE note IS NULL;
