ALTER TABLE tickets RENAME COLUMN id TO ticket_id;
