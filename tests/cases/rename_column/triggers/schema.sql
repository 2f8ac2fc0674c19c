CREATE TABLE people (id bigint PRIMARY KEY, mail text, changes int NOT NULL DEFAULT 0);
CREATE TABLE audit (id bigint, mail text);
CREATE TABLE counted (rows bigint, with_mail bigint);
CREATE FUNCTION normal() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.mail := lower(NEW.mail); RETURN NEW; END$$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO audit VALUES (NEW.id, NEW.mail); RETURN NULL; END$$;
CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO counted SELECT count(*), count(mail) FROM written; RETURN NULL; END$$;
CREATE TRIGGER normal BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION normal();
CREATE TRIGGER note AFTER INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER counts AFTER INSERT ON people REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION counts();
CREATE TRIGGER named AFTER UPDATE OF mail ON people FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO people SELECT i, 'm' || i FROM generate_series(1, 500) AS i;
DELETE FROM audit;
DELETE FROM counted;
