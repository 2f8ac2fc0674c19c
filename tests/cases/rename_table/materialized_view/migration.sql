ALTER MATERIALIZED VIEW per_email RENAME TO email_counts;
