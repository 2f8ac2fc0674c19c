ALTER TABLE events ADD PRIMARY KEY (id, kind);
