ALTER TABLE rooms RENAME COLUMN slot TO seat;
ALTER TABLE rooms RENAME COLUMN during TO period;
