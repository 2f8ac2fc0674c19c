ALTER TABLE "Odd Schema"."Table 100% ""x"" With A Name Of 63 Bytes, Quoted; Mixed Case___" ALTER "Id" DROP IDENTITY, ALTER "Ünï %s" DROP IDENTITY;
