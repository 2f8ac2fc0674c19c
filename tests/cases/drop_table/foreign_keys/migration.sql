DROP TABLE orders, lines;
