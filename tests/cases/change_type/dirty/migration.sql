ALTER TABLE items ALTER COLUMN size TYPE int USING size::int;
