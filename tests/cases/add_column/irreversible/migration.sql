-- concertina:irreversible reason: nobody misses it
ALTER TABLE users ADD COLUMN nickname text;
