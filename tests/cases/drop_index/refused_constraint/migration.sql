DROP INDEX users_pkey;
