CREATE TABLE prices (id bigint PRIMARY KEY, amount numeric(10,2), currency text NOT NULL);
INSERT INTO prices SELECT i, CASE WHEN i % 10 > 0 THEN i / 4.0 END, CASE WHEN i % 3 = 0 THEN 'JPY' ELSE 'EUR' END
FROM generate_series(1, 300) AS i;
UPDATE prices SET amount = round(amount) WHERE currency = 'JPY';
ANALYZE prices;
