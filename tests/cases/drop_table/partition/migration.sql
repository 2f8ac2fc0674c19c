DROP TABLE events_low;
