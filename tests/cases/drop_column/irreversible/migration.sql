-- concertina: irreversible reason: nobody ever read it
ALTER TABLE log DROP COLUMN extra;
