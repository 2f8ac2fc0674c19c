ALTER SEQUENCE users_id_seq RENAME TO user_numbers;
