ALTER TABLE jobs RENAME COLUMN state TO status;
ALTER TABLE jobs RENAME COLUMN made TO made_at;
ALTER TABLE jobs RENAME COLUMN token TO ticket;
