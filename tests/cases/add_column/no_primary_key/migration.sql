ALTER TABLE log ADD COLUMN token uuid DEFAULT gen_random_uuid();
