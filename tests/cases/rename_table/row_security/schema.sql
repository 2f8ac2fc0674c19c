CREATE TABLE notes (id bigint PRIMARY KEY, tenant text NOT NULL, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (tenant = current_setting('app.tenant', true));
DO $$ BEGIN CREATE ROLE concertina_case_tenant; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT SELECT, INSERT ON notes TO concertina_case_tenant;
INSERT INTO notes SELECT i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END, 'n' FROM generate_series(1, 200) AS i;
