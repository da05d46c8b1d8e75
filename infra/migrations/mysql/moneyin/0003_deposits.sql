-- `units` is text because a token may move more than any number type holds (up to 78 digits); it is never summed here.
-- `tx_position` may be long (a call path) and needs no index: the identity is its hash.
CREATE TABLE deposit (
  deposit_id BINARY(16) NOT NULL,
  seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asset VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  units VARCHAR(78) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  txid VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tx_position TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  contract VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
  sender VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
  address VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  group_no INT UNSIGNED NOT NULL,
  wallet_index INT UNSIGNED NOT NULL,
  merchant_id BINARY(16) NULL,
  invoice_id BINARY(16) NULL,
  state ENUM('included', 'confirmed', 'final', 'reversed') NOT NULL,
  held_for ENUM('too_large', 'unassigned') NULL,
  height BIGINT UNSIGNED NOT NULL,
  block_hash VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  block_time BIGINT UNSIGNED NOT NULL,
  confirmations_settled INT UNSIGNED NOT NULL,
  confirmations_final INT UNSIGNED NOT NULL,
  settled_height BIGINT UNSIGNED NOT NULL,
  final_height BIGINT UNSIGNED NOT NULL,
  credit_epoch INT UNSIGNED NOT NULL,
  version INT UNSIGNED NOT NULL,
  created_at DATETIME(6) NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  PRIMARY KEY (deposit_id),
  UNIQUE KEY seq (seq),
  KEY not_final (state, chain, final_height),
  KEY in_block (chain, block_hash),
  KEY of_invoice (invoice_id),
  KEY of_wallet (group_no, wallet_index)
) ENGINE=InnoDB;

-- Every state of every deposit, with its cause, time and trace id: one query shows why a payment stands where it does.
CREATE TABLE deposit_history (
  deposit_id BINARY(16) NOT NULL,
  version INT UNSIGNED NOT NULL,
  state ENUM('included', 'confirmed', 'final', 'reversed') NOT NULL,
  cause VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  units VARCHAR(78) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  height BIGINT UNSIGNED NOT NULL,
  block_hash VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tip_height BIGINT UNSIGNED NOT NULL,
  credit_epoch INT UNSIGNED NOT NULL,
  trace_id BINARY(16) NOT NULL,
  at DATETIME(6) NOT NULL,
  PRIMARY KEY (deposit_id, version)
) ENGINE=InnoDB;
