CREATE TABLE draft (id serial PRIMARY KEY, parent int REFERENCES draft);
ALTER TABLE draft RENAME TO final;
CREATE INDEX ON final (parent);
