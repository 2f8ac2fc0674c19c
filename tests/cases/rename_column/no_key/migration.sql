ALTER TABLE lines RENAME body TO content;
ALTER TABLE lines RENAME amount TO total;
