CREATE TABLE votes (
    id bigserial PRIMARY KEY,
    person bigint NOT NULL,
    post bigint NOT NULL,
    UNIQUE (person, post)
);
INSERT INTO votes (person, post) SELECT i % 40, i / 40 FROM generate_series(1, 2000) AS i;
