ALTER VIEW active_users RENAME TO members;
ALTER TABLE by_letter RENAME TO letters;
