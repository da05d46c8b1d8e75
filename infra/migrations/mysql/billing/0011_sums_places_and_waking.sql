-- Sums of invoices with many deposits, counters of payment links, and what an invoice made by old code lacks
-- (docs/invoices.md, "Sums", "Old rows"; docs/payment-links.md, "Places").

-- Only of an invoice with more deposits or refunds than are shown; others are summed from their rows. Nothing is filled in here:
-- whoever finds no sums adds up all rows, and keeps what comes of it with the next deposit.
CREATE TABLE invoice_sum (
  invoice_id BINARY(16) NOT NULL,
  asset VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  deposits INT UNSIGNED NOT NULL,
  standing DECIMAL(65,0) NOT NULL,
  mined DECIMAL(65,0) NOT NULL,
  settled DECIMAL(65,0) NOT NULL,
  in_time DECIMAL(65,0) NOT NULL,
  in_a_block DECIMAL(65,0) NOT NULL,
  refunds INT UNSIGNED NOT NULL,
  refunded DECIMAL(65,0) NOT NULL,
  PRIMARY KEY (invoice_id, asset)
) ENGINE=InnoDB;
