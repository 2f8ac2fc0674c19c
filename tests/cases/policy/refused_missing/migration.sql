DROP POLICY own ON notes;
