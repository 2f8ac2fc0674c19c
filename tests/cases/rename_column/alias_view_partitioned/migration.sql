-- concertina:alias-view reason: a partition key
ALTER TABLE events RENAME COLUMN at TO on_day;
