-- Wallets and their addresses. billing takes a free wallet for an invoice in its own transaction (docs/contracts.md).
CREATE TABLE wallet (
  group_no INT UNSIGNED NOT NULL,
  wallet_index INT UNSIGNED NOT NULL,
  state ENUM('free', 'assigned') NOT NULL DEFAULT 'free',
  merchant_id BINARY(16) NULL,
  invoice_id BINARY(16) NULL,
  assigned_at DATETIME(6) NULL,
  PRIMARY KEY (group_no, wallet_index),
  KEY next_free (state, group_no, wallet_index)
) ENGINE=InnoDB;

CREATE TABLE address (
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  address VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  group_no INT UNSIGNED NOT NULL,
  wallet_index INT UNSIGNED NOT NULL,
  PRIMARY KEY (chain, address),
  KEY of_wallet (group_no, wallet_index)
) ENGINE=InnoDB;

-- Ranges asked of kms; `requested_at` is that of the last attempt.
CREATE TABLE pool_request (
  group_no INT UNSIGNED NOT NULL,
  first_index INT UNSIGNED NOT NULL,
  wallet_count INT UNSIGNED NOT NULL,
  attempt INT UNSIGNED NOT NULL,
  requested_at DATETIME(6) NOT NULL,
  PRIMARY KEY (group_no, first_index)
) ENGINE=InnoDB;

-- One row: whoever decides about the pool holds it.
CREATE TABLE pool_lock (
  id TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB;

INSERT INTO pool_lock (id) VALUES (1);
