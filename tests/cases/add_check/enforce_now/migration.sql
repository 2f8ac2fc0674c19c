-- concertina: enforce-now reason: the writers were checked by hand
ALTER TABLE users ADD CONSTRAINT users_age_sane CHECK (age >= 0);
