REINDEX TABLE "Notes of a table whose name is exactly sixty-three bytes long, si";
