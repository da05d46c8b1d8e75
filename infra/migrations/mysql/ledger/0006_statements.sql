-- What each posted transfer did to each account that it moved, with the account's counters after it. Written off the
-- posting path by a follower of `transfer`, in the order in which statements are read. Pending counters of clearing
-- accounts may be below zero (docs/ledger.md, "Accounts").
CREATE TABLE entry (
  account BINARY(16) NOT NULL,
  posted_at DATETIME(6) NOT NULL,
  shard_no SMALLINT UNSIGNED NOT NULL,
  number BIGINT UNSIGNED NOT NULL,
  position SMALLINT UNSIGNED NOT NULL,
  side ENUM('debit', 'credit') NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  code VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  units DECIMAL(39,0) NOT NULL,
  other BINARY(16) NOT NULL,
  debits_posted DECIMAL(39,0) NOT NULL,
  debits_pending DECIMAL(39,0) NOT NULL,
  credits_posted DECIMAL(39,0) NOT NULL,
  credits_pending DECIMAL(39,0) NOT NULL,
  PRIMARY KEY (account, posted_at, shard_no, number, position)
) ENGINE=InnoDB;
-- The counters that the follower has reached: those of the account's last row in `entry`.
CREATE TABLE statement_account (
  account BINARY(16) NOT NULL PRIMARY KEY,
  debits_posted DECIMAL(39,0) NOT NULL,
  debits_pending DECIMAL(39,0) NOT NULL,
  credits_posted DECIMAL(39,0) NOT NULL,
  credits_pending DECIMAL(39,0) NOT NULL
) ENGINE=InnoDB;
-- The next number of each shard that the follower has not entered yet: the fence of its transactions.
CREATE TABLE statement_cursor (
  shard_no SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  next_number BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB;
-- Buckets that shall move or did. A row is the order, written with the control records that it owes: a control record
-- without one moves nothing. `posted_at` is the latest that `from_shard` had posted when it let the bucket go, null
-- before. What `to_shard` posted from `to_number` on may concern accounts of which `from_shard` posted
-- below `from_number`: the follower of the first waits for that of the second. Numbers are null until the
-- takeover.
CREATE TABLE bucket_move (
  bucket SMALLINT UNSIGNED NOT NULL,
  map_version INT UNSIGNED NOT NULL,
  from_shard SMALLINT UNSIGNED NOT NULL,
  to_shard SMALLINT UNSIGNED NOT NULL,
  ordered_at DATETIME(6) NOT NULL,
  posted_at DATETIME(6) NULL,
  from_number BIGINT UNSIGNED NULL,
  to_number BIGINT UNSIGNED NULL,
  PRIMARY KEY (bucket, map_version),
  KEY takeover (to_shard, to_number)
) ENGINE=InnoDB;
