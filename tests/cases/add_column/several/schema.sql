CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, age int, plan int);
INSERT INTO users SELECT i, 'u' || i, i % 90, i % 7 FROM generate_series(1, 300) AS i;
CREATE TABLE plans (id int PRIMARY KEY);
INSERT INTO plans SELECT generate_series(0, 9);
ALTER TABLE users ADD CONSTRAINT of_plan FOREIGN KEY (plan) REFERENCES plans;
