-- The log of everything posted, in the order and under the numbers of `ledger.posted`: (shard_no, number) is one
-- record there, position the transfer's place in it. Rows are never changed and never deleted.
CREATE TABLE transfer (
  shard_no SMALLINT UNSIGNED NOT NULL,
  number BIGINT UNSIGNED NOT NULL,
  position SMALLINT UNSIGNED NOT NULL,
  id BINARY(16) NOT NULL,
  digest BINARY(16) NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  code VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  linked TINYINT UNSIGNED NOT NULL,
  pending_id BINARY(16) NULL,
  debit_account BINARY(16) NOT NULL,
  credit_account BINARY(16) NOT NULL,
  units DECIMAL(39,0) NOT NULL,
  cause VARBINARY(512) NOT NULL,
  trace_id BINARY(16) NOT NULL,
  posted_at DATETIME(6) NOT NULL,
  PRIMARY KEY (shard_no, number, position),
  UNIQUE KEY id (id)
) ENGINE=InnoDB;
