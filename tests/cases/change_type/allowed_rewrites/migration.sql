-- concertina:allow rewrites reason: the table is small
ALTER TABLE unlike ALTER a TYPE varchar(9);

-- concertina:allow rewrites reason: the table is small
ALTER TABLE unlike ALTER b TYPE varchar(9);

-- concertina:allow rewrites reason: the table is small
ALTER TABLE unlike ALTER c TYPE text;

-- concertina:allow rewrites reason: the table is small
ALTER TABLE unlike ALTER d TYPE numeric(9,3);

-- concertina:allow rewrites reason: the table is small
ALTER TABLE unlike ALTER e TYPE bigint;

-- concertina:allow rewrites reason: the table is small
ALTER TABLE unlike ALTER f TYPE timestamptz(3);

-- concertina:allow rewrites reason: the table is small
ALTER TABLE unlike ALTER g TYPE varchar(9)[];

-- concertina:allow rewrites reason: the table is small
ALTER TABLE unlike ALTER h TYPE cidr;
