-- The whole life of an invoice (docs/invoices.md): tolerance, cancellation, refunds, what it was made with, and the merchant's settings.
ALTER TABLE invoice
  MODIFY status VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  MODIFY reference VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN tolerance_bps SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN cancelled_at DATETIME(6) NULL,
  -- When time alone changes the status; null where it does not.
  ADD COLUMN wakes_at DATETIME(6) NULL,
  ADD COLUMN metadata TEXT CHARACTER SET utf8mb4 NULL,
  ADD COLUMN payment_link_id BINARY(16) NULL,
  ADD COLUMN session_id BINARY(16) NULL,
  ADD COLUMN success_url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN language VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NULL,
  DROP KEY overdue,
  ADD KEY waking (wakes_at),
  ADD KEY of_status (merchant_id, status, invoice_id),
  ADD KEY of_reference (merchant_id, reference, invoice_id);

UPDATE invoice SET wakes_at = expires_at WHERE status IN ('new', 'partially_paid');

ALTER TABLE invoice_change
  MODIFY from_status VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NULL,
  MODIFY to_status VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL;

CREATE TABLE invoice_refund (
  transfer_id BINARY(16) NOT NULL PRIMARY KEY,
  refund_id BINARY(16) NOT NULL,
  invoice_id BINARY(16) NOT NULL,
  asset VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  units DECIMAL(39,0) NOT NULL,
  posted_at DATETIME(6) NOT NULL,
  KEY of_invoice (invoice_id, posted_at, transfer_id)
) ENGINE=InnoDB;

-- What new invoices take where their request says nothing. A merchant without a row has the defaults.
CREATE TABLE merchant_setting (
  merchant_id BINARY(16) NOT NULL PRIMARY KEY,
  tolerance_bps SMALLINT UNSIGNED NOT NULL,
  expires_in_s INT UNSIGNED NOT NULL,
  set_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;
