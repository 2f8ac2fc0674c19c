CREATE TYPE shows AS ENUM ('everything', 'nothing');
CREATE TYPE feeling AS ENUM ('sad', 'happy', 'none');

ALTER TABLE people ALTER COLUMN shown DROP DEFAULT;
ALTER TABLE people ALTER COLUMN feels DROP DEFAULT;

-- concertina:down shown = shown = 'everything'
ALTER TABLE people
    ALTER COLUMN shown TYPE shows
    USING CASE shown WHEN false THEN 'nothing' ELSE 'everything' END::shows;

ALTER TABLE people ALTER COLUMN feels TYPE feeling USING feels::text::feeling;

DROP TYPE mood;

ALTER TABLE people ALTER COLUMN shown SET DEFAULT 'everything';
ALTER TABLE people ALTER COLUMN feels SET DEFAULT 'happy';
