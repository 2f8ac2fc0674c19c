CREATE TABLE rooms (id int, during int4range, EXCLUDE USING gist (during WITH &&));
