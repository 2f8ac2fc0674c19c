UPDATE public."Accounts" SET version = version + 1 WHERE version < 100;
