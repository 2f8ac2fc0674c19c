ALTER TABLE logs ALTER id TYPE bigint;
