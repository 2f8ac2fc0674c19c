ALTER TABLE events_low RENAME TO events_small;
ALTER TABLE events RENAME TO happenings;
