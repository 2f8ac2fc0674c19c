-- Tablespaces of what is made without naming one, and of temporary files: the first that the settings name and that is there, else
-- the database's own. One that is NULL is the data directory.
WITH own AS (
    SELECT t.spcname FROM pg_catalog.pg_database AS d JOIN pg_catalog.pg_tablespace AS t ON t.oid = d.dattablespace
    WHERE d.datname = current_database()
)
SELECT nullif(coalesce((SELECT spcname FROM pg_catalog.pg_tablespace WHERE spcname = current_setting('default_tablespace')),
                       (SELECT spcname FROM own)), 'pg_default')::text,
       nullif(coalesce((SELECT t.spcname
                        FROM unnest(string_to_array(current_setting('temp_tablespaces'), ',')) WITH ORDINALITY AS s (name, at)
                        JOIN pg_catalog.pg_tablespace AS t ON t.spcname = trim(BOTH ' "' FROM s.name)
                        ORDER BY s.at LIMIT 1),
                       (SELECT spcname FROM own)), 'pg_default')::text
