-- Payment links, checkout sessions, and the merchant's list of payments (docs/payment-links.md). Amounts are smallest units.
CREATE TABLE payment_link (
  link_id BINARY(16) NOT NULL PRIMARY KEY,
  merchant_id BINARY(16) NOT NULL,
  lane VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title VARCHAR(120) CHARACTER SET utf8mb4 NOT NULL,
  currency VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  fixed_units DECIMAL(39,0) NULL,
  min_units DECIMAL(39,0) NULL,
  max_units DECIMAL(39,0) NULL,
  assets VARCHAR(640) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  expires_in_s INT UNSIGNED NULL,
  use_limit INT UNSIGNED NULL,
  ends_at DATETIME(6) NULL,
  active TINYINT UNSIGNED NOT NULL,
  success_url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NULL,
  metadata TEXT CHARACTER SET utf8mb4 NOT NULL,
  created_at DATETIME(6) NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  KEY of_merchant (merchant_id, link_id)
) ENGINE=InnoDB;

-- Invoices of links with a limit. At most so many are held, so counting them never reads more.
CREATE TABLE payment_link_place (
  link_id BINARY(16) NOT NULL,
  invoice_id BINARY(16) NOT NULL,
  held TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (link_id, invoice_id),
  KEY held (link_id, held, invoice_id)
) ENGINE=InnoDB;

CREATE TABLE payment_link_visitor (
  link_id BINARY(16) NOT NULL,
  visitor BINARY(16) NOT NULL,
  invoice_id BINARY(16) NULL,
  PRIMARY KEY (link_id, visitor)
) ENGINE=InnoDB;

CREATE TABLE checkout_session (
  session_id BINARY(16) NOT NULL PRIMARY KEY,
  merchant_id BINARY(16) NOT NULL,
  invoice_id BINARY(16) NOT NULL,
  created_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;

ALTER TABLE invoice ADD COLUMN cancel_url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NULL;

-- Whose a deposit is, so that a merchant's payments are one range of an index; null while only its credit has come.
ALTER TABLE deposit
  ADD COLUMN merchant_id BINARY(16) NULL,
  ADD KEY of_merchant (merchant_id, first_seen_at, deposit_id);
UPDATE deposit d JOIN invoice i ON i.invoice_id = d.invoice_id SET d.merchant_id = i.merchant_id;
