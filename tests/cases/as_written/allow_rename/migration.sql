-- concertina: allow not-yet reason: the only reader is deployed together with this
ALTER TABLE users RENAME COLUMN name TO full_name;
