CREATE TABLE events (id bigint NOT NULL, kind text) PARTITION BY RANGE (id);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_mid PARTITION OF events FOR VALUES FROM (1000) TO (2000);
CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (2000) TO (9000000000);
INSERT INTO events SELECT i, 'a' FROM generate_series(0, 2999) AS i;
-- A constraint is taken, a mere index is not.
ALTER TABLE events_low ADD CONSTRAINT mine UNIQUE (id, kind);
CREATE UNIQUE INDEX events_mid_own ON events_mid (id, kind);
