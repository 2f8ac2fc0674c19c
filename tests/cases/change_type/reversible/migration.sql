ALTER TABLE notes ALTER body TYPE varchar USING body::varchar;
ALTER TABLE notes ALTER COLUMN "Tïtle" SET DATA TYPE text;
