ALTER TABLE "App".high ATTACH PARTITION "App"."Partition with a long name, of sixty-three bytes in all, as such" FOR VALUES IN (2, NULL);
