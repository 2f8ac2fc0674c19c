CREATE TABLE posts (id bigint PRIMARY KEY, stickied boolean NOT NULL DEFAULT false, n int NOT NULL DEFAULT 0);
INSERT INTO posts SELECT i FROM generate_series(1, 300) AS i;
CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := OLD.n + 1; RETURN NEW; END $$;
CREATE TRIGGER "Stickied" BEFORE UPDATE ON posts FOR EACH ROW WHEN (OLD.stickied IS DISTINCT FROM NEW.stickied) EXECUTE FUNCTION count_up();
