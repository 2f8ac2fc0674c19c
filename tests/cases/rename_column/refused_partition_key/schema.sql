CREATE TABLE p (id int, at date) PARTITION BY RANGE (at);
