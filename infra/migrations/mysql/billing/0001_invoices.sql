-- Invoices, their options, deposits, credits and changes (docs/invoices.md). Amounts are smallest units, up to 2^128-1.
CREATE TABLE rate (
  merchant_id BINARY(16) NOT NULL,
  asset VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  currency VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  rate_units DECIMAL(32,0) NOT NULL,
  set_at DATETIME(6) NOT NULL,
  PRIMARY KEY (merchant_id, asset, currency)
) ENGINE=InnoDB;

CREATE TABLE invoice (
  invoice_id BINARY(16) NOT NULL PRIMARY KEY,
  merchant_id BINARY(16) NOT NULL,
  lane VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  currency VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  price_units DECIMAL(39,0) NOT NULL,
  reference VARCHAR(255) CHARACTER SET utf8mb4 NULL,
  created_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  changes INT UNSIGNED NOT NULL,
  KEY of_merchant (merchant_id, invoice_id),
  KEY overdue (status, expires_at)
) ENGINE=InnoDB;

CREATE TABLE payment_option (
  invoice_id BINARY(16) NOT NULL,
  position TINYINT UNSIGNED NOT NULL,
  asset VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  due_units DECIMAL(39,0) NOT NULL,
  rate_units DECIMAL(32,0) NOT NULL,
  address VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  payment_link VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (invoice_id, position),
  UNIQUE KEY one_option_an_asset (invoice_id, asset)
) ENGINE=InnoDB;

-- Version 0 is a deposit of which only the credit has come so far; its other columns are null then.
CREATE TABLE deposit (
  deposit_id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT UNSIGNED NOT NULL,
  invoice_id BINARY(16) NULL,
  asset VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  units DECIMAL(39,0) NULL,
  state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
  confirmations INT UNSIGNED NULL,
  confirmations_settled INT UNSIGNED NULL,
  credit_epoch INT UNSIGNED NULL,
  block_time DATETIME(6) NULL,
  first_seen_at DATETIME(6) NULL,
  txid VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
  KEY of_invoice (invoice_id, first_seen_at, deposit_id)
) ENGINE=InnoDB;

CREATE TABLE deposit_credit (
  deposit_id BINARY(16) NOT NULL,
  credit_epoch INT UNSIGNED NOT NULL,
  transfer_id BINARY(16) NOT NULL,
  posted_at DATETIME(6) NOT NULL,
  PRIMARY KEY (deposit_id, credit_epoch)
) ENGINE=InnoDB;

-- Why an invoice is as it is: one row a change, numbered from 1 without gaps.
CREATE TABLE invoice_change (
  invoice_id BINARY(16) NOT NULL,
  number INT UNSIGNED NOT NULL,
  from_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
  to_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cause_type VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cause_subject BINARY(16) NOT NULL,
  at DATETIME(6) NOT NULL,
  trace_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (invoice_id, number)
) ENGINE=InnoDB;
