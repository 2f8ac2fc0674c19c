ALTER TABLE events ADD COLUMN source text DEFAULT 'web', ADD COLUMN token uuid DEFAULT gen_random_uuid();
