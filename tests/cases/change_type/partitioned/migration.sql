ALTER TABLE events ALTER kind TYPE varchar(80);
