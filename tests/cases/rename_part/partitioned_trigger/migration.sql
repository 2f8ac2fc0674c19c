ALTER TRIGGER touch ON events RENAME TO zzz;
