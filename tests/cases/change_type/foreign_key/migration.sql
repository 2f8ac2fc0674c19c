ALTER TABLE codes ALTER code TYPE varchar(16);
ALTER TABLE uses ALTER code TYPE varchar(16);
