CREATE VIEW grown_ups AS SELECT id, name FROM users WHERE age >= 18;
CREATE SEQUENCE tickets START 100 INCREMENT 5;
CREATE MATERIALIZED VIEW ages AS SELECT age, count(*) AS n FROM users GROUP BY age WITH NO DATA;
COMMENT ON VIEW grown_ups IS 'Eighteen and older';
