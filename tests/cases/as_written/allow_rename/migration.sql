-- concertina: allow no-online-form reason: no code names the type yet
ALTER TYPE mood RENAME TO feeling;
