ALTER TABLE users ADD PRIMARY KEY (id, email);
