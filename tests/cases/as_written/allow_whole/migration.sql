-- concertina:allow not-yet reason: two thousand rows, rebuilt in milliseconds
ALTER TABLE votes
    DROP COLUMN id,
    ADD PRIMARY KEY (person, post),
    DROP CONSTRAINT votes_person_post_key;
