DROP VIEW adults, adult_count;
ALTER TABLE users DROP COLUMN age;
