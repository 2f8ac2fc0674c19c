ALTER TABLE events RENAME kind TO event_kind;
