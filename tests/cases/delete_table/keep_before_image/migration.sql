-- concertina:keep-before-image
DELETE FROM users AS u WHERE u."Age" < 40;
