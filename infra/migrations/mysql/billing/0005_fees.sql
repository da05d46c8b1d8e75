-- Fee plans, whose they are, what invoices agreed on and what payments cost (docs/fees.md).
-- A plan is canonical JSON under the id that its bytes make; nothing of it ever changes.
CREATE TABLE fee_plan (
  plan_id BINARY(16) NOT NULL PRIMARY KEY,
  name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  body BLOB NOT NULL,
  created_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;

-- Numbered from 1 without gaps for each subject: merchant:<32 hex> or lane:<lane>. A null plan takes its own away.
CREATE TABLE fee_assignment (
  subject VARCHAR(48) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  number INT UNSIGNED NOT NULL,
  plan_id BINARY(16) NULL,
  set_at DATETIME(6) NOT NULL,
  set_by VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL,
  reason VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  trace_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (subject, number)
) ENGINE=InnoDB;

CREATE TABLE referral (
  merchant_id BINARY(16) NOT NULL PRIMARY KEY,
  referrer_id BINARY(16) NOT NULL,
  stored_at DATETIME(6) NOT NULL,
  stored_by VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL,
  reason VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  trace_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
) ENGINE=InnoDB;

-- One row, which whoever assigns a plan or adds a referral locks: two that close a circle together must see each other.
CREATE TABLE fee_lock (one TINYINT UNSIGNED NOT NULL PRIMARY KEY) ENGINE=InnoDB;

-- Locked with the invoice. An invoice without a row agreed on no fee. volume_units is null where the plan has one tier.
CREATE TABLE invoice_fee (
  invoice_id BINARY(16) NOT NULL PRIMARY KEY,
  plan_id BINARY(16) NOT NULL,
  subject VARCHAR(48) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  assignment INT UNSIGNED NOT NULL,
  bps SMALLINT UNSIGNED NOT NULL,
  fixed_units DECIMAL(39,0) NOT NULL,
  payer VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  referral_bps SMALLINT UNSIGNED NOT NULL,
  referrer_id BINARY(16) NULL,
  volume_units DECIMAL(39,0) NULL,
  asked_units DECIMAL(39,0) NOT NULL,
  created_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;

-- Of one final credit: whose invoice it pays (moneyin.deposits) and what was posted (ledger.posted), in any order.
CREATE TABLE fee_fact (
  deposit_id BINARY(16) NOT NULL,
  credit_epoch INT UNSIGNED NOT NULL,
  invoice_id BINARY(16) NULL,
  merchant_id BINARY(16) NULL,
  asset VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  units DECIMAL(39,0) NULL,
  reversed TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (deposit_id, credit_epoch)
) ENGINE=InnoDB;

-- number and returned_number count an invoice's assessments and returns together, from 1 without gaps.
CREATE TABLE fee_assessment (
  deposit_id BINARY(16) NOT NULL,
  credit_epoch INT UNSIGNED NOT NULL,
  invoice_id BINARY(16) NOT NULL,
  number INT UNSIGNED NOT NULL,
  asset VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  units DECIMAL(39,0) NOT NULL,
  rate_units DECIMAL(32,0) NULL,
  percent_units DECIMAL(39,0) NOT NULL,
  open_before DECIMAL(39,0) NOT NULL,
  fixed_taken DECIMAL(39,0) NOT NULL,
  fixed_coins DECIMAL(39,0) NOT NULL,
  fee_units DECIMAL(39,0) NOT NULL,
  share_units DECIMAL(39,0) NOT NULL,
  value_units DECIMAL(65,0) NOT NULL,
  assessed_at DATETIME(6) NOT NULL,
  trace_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  returned_number INT UNSIGNED NULL,
  returned_at DATETIME(6) NULL,
  PRIMARY KEY (deposit_id, credit_epoch),
  UNIQUE KEY of_invoice (invoice_id, number)
) ENGINE=InnoDB;

-- What a merchant's payments were worth on one UTC day, less what was returned on it. Past days never change.
CREATE TABLE fee_volume (
  merchant_id BINARY(16) NOT NULL,
  day DATE NOT NULL,
  currency VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  units DECIMAL(65,0) NOT NULL,
  PRIMARY KEY (merchant_id, day, currency)
) ENGINE=InnoDB;
