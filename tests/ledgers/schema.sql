CREATE TABLE public.owners (id bigint PRIMARY KEY);
INSERT INTO public.owners SELECT generate_series(1, 10);
CREATE TABLE public."Accounts" (
    id bigint PRIMARY KEY, owner bigint NOT NULL, balance bigint NOT NULL, version int NOT NULL DEFAULT 0, legacy text DEFAULT 'old'
);
INSERT INTO public."Accounts" (id, owner, balance) SELECT i, 1 + i % 10, i * 7 % 1000 FROM generate_series(1, 200) AS i;
