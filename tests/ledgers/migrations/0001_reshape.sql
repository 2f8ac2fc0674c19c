ALTER TABLE public."Accounts" ADD COLUMN cents bigint;
UPDATE public."Accounts" SET cents = balance * 100;
ALTER TABLE public."Accounts" ALTER COLUMN cents SET NOT NULL;
CREATE INDEX "Accounts_cents_idx" ON public."Accounts" (cents);
ALTER TABLE public."Accounts" ADD CONSTRAINT accounts_owner_fkey FOREIGN KEY (owner) REFERENCES public.owners (id);
ALTER TABLE public."Accounts" DROP COLUMN legacy;
