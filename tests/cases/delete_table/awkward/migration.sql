DELETE FROM "Odd Schema"."Table With A Name Of 63 Bytes, Quoted; Mixed Case______________" AS "T" WHERE ("T"."where" = 'it''s 1' OR "Ünï" = 3 /* not 4 */) -- and that is all
;
