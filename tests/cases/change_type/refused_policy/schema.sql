CREATE TABLE t (id int PRIMARY KEY, a varchar(10));
CREATE POLICY own ON t USING (a = current_user);
