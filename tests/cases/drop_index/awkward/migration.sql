DROP INDEX "Odd Schema"."Old ""Index""";
