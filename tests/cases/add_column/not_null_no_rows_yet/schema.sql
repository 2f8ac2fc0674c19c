-- A long column has a TOAST table, and that an index of a page before any row is there.
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL);
