-- concertina:irreversible reason: a log nobody reads
DROP TABLE log;
