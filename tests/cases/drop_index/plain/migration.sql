DROP INDEX users_name_idx;
DROP INDEX IF EXISTS users_age_idx, no_such_index;
