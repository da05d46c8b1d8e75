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

-- The invoices of links, with a new name so that old code, which knows no counters, takes and gives back nothing any more.
-- `held` is null of an invoice that was made while its link had no limit; `until` is when time ends its waiting for money.
RENAME TABLE payment_link_place TO payment_link_invoice;

ALTER TABLE payment_link_invoice
  MODIFY held TINYINT UNSIGNED NULL,
  ADD COLUMN until DATETIME(6) NULL,
  DROP KEY held,
  ADD KEY waiting (until);

-- Whose money came holds a place, also one that was given back before the money came.
UPDATE payment_link_invoice p JOIN invoice i ON i.invoice_id = p.invoice_id
SET p.held = 1
WHERE p.held = 0 AND i.status NOT IN ('new', 'invalid', 'expired', 'cancelled');

-- Ended ones among them are given back by the first pass of the expiry.
UPDATE payment_link_invoice p JOIN invoice i ON i.invoice_id = p.invoice_id
SET p.until = i.expires_at
WHERE p.held = 1 AND i.status IN ('new', 'invalid', 'expired', 'cancelled');

-- Places taken, and invoices that wait for their first money: sums of the rows above, changed with them.
ALTER TABLE payment_link
  ADD COLUMN held INT NOT NULL DEFAULT 0,
  ADD COLUMN unpaid INT NOT NULL DEFAULT 0;

UPDATE payment_link l JOIN (
  SELECT link_id, COUNT(IF(held = 1, 1, NULL)) AS held, COUNT(until) AS unpaid FROM payment_link_invoice GROUP BY link_id
) AS counted ON counted.link_id = l.link_id
SET l.held = counted.held, l.unpaid = counted.unpaid;

-- By status, so that open invoices without a moment to wake at (made by code older than 0003) are found without reading all others.
ALTER TABLE invoice
  DROP KEY waking,
  ADD KEY waking (status, wakes_at);

UPDATE invoice SET wakes_at = expires_at WHERE wakes_at IS NULL AND status IN ('new', 'partially_paid');

-- Since when a deposit's block is gone, as far as we know; null of all others.
ALTER TABLE deposit
  ADD COLUMN reversed_at DATETIME(6) NULL,
  ADD KEY reversed (state, reversed_at);

UPDATE deposit SET reversed_at = UTC_TIMESTAMP(6) WHERE state = 'reversed';

UPDATE deposit d JOIN invoice i ON i.invoice_id = d.invoice_id SET d.merchant_id = i.merchant_id WHERE d.merchant_id IS NULL;
