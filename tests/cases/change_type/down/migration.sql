-- concertina:down amount = CASE currency WHEN 'JPY' THEN amount ELSE amount / 100.0 END
ALTER TABLE prices ALTER COLUMN amount TYPE bigint USING (CASE currency WHEN 'JPY' THEN amount ELSE amount * 100 END)::bigint;
