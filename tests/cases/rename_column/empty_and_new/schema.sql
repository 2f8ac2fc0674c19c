CREATE TABLE empty (a int);
