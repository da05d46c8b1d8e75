-- The rates by which an invoice's fees are computed, whatever its merchant's own are (docs/fees.md, "The rate of the house"): a JSON object by asset.
-- Without a default: from this statement on, functions from before it cannot agree on a fee by another rule. Rows that exist get ''.
ALTER TABLE invoice_fee ADD COLUMN house_rates TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL;

-- What was agreed before stays: fees followed from the options' rates, so these are theirs. At most 8 options, far below group_concat_max_len.
UPDATE invoice_fee f LEFT JOIN (
  SELECT invoice_id, GROUP_CONCAT('"', asset, '":{"units":"', rate_units, '"}' ORDER BY asset SEPARATOR ',') AS rates
  FROM payment_option GROUP BY invoice_id
) AS o ON o.invoice_id = f.invoice_id
SET f.house_rates = CONCAT('{', COALESCE(o.rates, ''), '}') WHERE f.house_rates = '';

-- Unknown is not zero: what had no rate had no value. Such payments are counted, one less where they were returned.
ALTER TABLE fee_assessment MODIFY COLUMN value_units DECIMAL(65,0) NULL;
UPDATE fee_assessment SET value_units = NULL WHERE rate_units IS NULL;
ALTER TABLE fee_volume ADD COLUMN unvalued INT NOT NULL DEFAULT 0;

INSERT INTO fee_volume (merchant_id, day, currency, units, unvalued)
SELECT moved.merchant_id, moved.day, moved.currency, 0, SUM(moved.n) FROM (
  SELECT i.merchant_id, DATE(a.assessed_at) AS day, i.currency, 1 AS n
  FROM fee_assessment a JOIN invoice i ON i.invoice_id = a.invoice_id WHERE a.rate_units IS NULL
  UNION ALL
  SELECT i.merchant_id, DATE(a.returned_at), i.currency, -1
  FROM fee_assessment a JOIN invoice i ON i.invoice_id = a.invoice_id WHERE a.rate_units IS NULL AND a.returned_at IS NOT NULL
) AS moved GROUP BY moved.merchant_id, moved.day, moved.currency
ON DUPLICATE KEY UPDATE unvalued = VALUES(unvalued);
