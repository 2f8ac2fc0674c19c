DROP INDEX "Mail";
CREATE UNIQUE INDEX "Mail" ON users (lower(email), age);
