DROP TRIGGER g ON events_low;
