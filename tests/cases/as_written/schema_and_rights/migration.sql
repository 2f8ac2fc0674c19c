CREATE SCHEMA billing;
CREATE TABLE billing.invoices (id int PRIMARY KEY, user_id bigint REFERENCES users (id));
GRANT USAGE ON SCHEMA billing TO PUBLIC;
GRANT SELECT ON billing.invoices TO PUBLIC;
GRANT SELECT (id, email) ON users TO PUBLIC;
COMMENT ON SCHEMA billing IS 'Money';
COMMENT ON COLUMN users.email IS 'It''s checked; mostly';
