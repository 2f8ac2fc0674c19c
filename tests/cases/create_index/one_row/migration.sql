CREATE UNIQUE INDEX settings_one_row ON settings ((true));
