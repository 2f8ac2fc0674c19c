ALTER TABLE "Órders" ALTER COLUMN "The Number of the One Who Has Bought It In The Shop Of The Town" SET DATA TYPE bigint;
