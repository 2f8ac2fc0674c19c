CREATE TABLE words (id int PRIMARY KEY, "Wörd" varchar(30) NOT NULL DEFAULT 'none' UNIQUE, lang text);
CREATE INDEX words_lang ON words (lang, lower("Wörd"));
INSERT INTO words SELECT i, 'w' || i, 'en' FROM generate_series(1, 300) AS i;
