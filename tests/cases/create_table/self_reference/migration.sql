CREATE TABLE nodes (
    id int PRIMARY KEY,
    parent_id int REFERENCES nodes (id),
    path text UNIQUE DEFERRABLE INITIALLY DEFERRED,
    UNIQUE (parent_id, path)
);
