CREATE TABLE "Orders eu" PARTITION OF "Orders" FOR VALUES IN ('de', 'fr');
