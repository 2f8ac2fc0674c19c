CREATE FUNCTION initials(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(left(word, 1), '') FROM regexp_split_to_table(name, ' ') AS word;
$$;
CREATE FUNCTION nothing() RETURNS void LANGUAGE plpgsql AS $body$ BEGIN PERFORM 1; END; $body$;
CREATE PROCEDURE do_nothing() LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
COMMENT ON FUNCTION initials(text) IS 'First letters; of each word';
