-- The account meant, where a clearing account moved in its place (docs/ledger.md, "One decider").
-- Defaults spare the statements that write most what most rows have: what a statement does not name costs nothing.
ALTER TABLE transfer
  ADD COLUMN counterpart BINARY(16) NULL AFTER credit_account,
  MODIFY kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'direct',
  MODIFY linked TINYINT UNSIGNED NOT NULL DEFAULT 0;
-- The counters of an account that exists are moved by INSERT ... ON DUPLICATE KEY UPDATE, which wants defaults for what
-- it does not name. The writer counts the rows that it moved: one that it made instead undoes the batch.
ALTER TABLE account
  MODIFY owner VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  MODIFY purpose VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  MODIFY asset VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  MODIFY bucket SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  MODIFY created_at DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  MODIFY updated_at DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00';
-- `version` counts the commits of a shard: what a writer remembers of it is good only while it still stands there.
-- `last_posted_at` keeps the times of a shard's log from falling when a clock does.
ALTER TABLE shard
  ADD COLUMN version BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN next_leg BIGINT UNSIGNED NOT NULL DEFAULT 1,
  ADD COLUMN last_posted_at DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00';
-- What became of each pending transfer: the accounts as they were asked for, one end for ever. `shard_no` opened it,
-- `bucket` is its decider's.
CREATE TABLE pending (
  id BINARY(16) NOT NULL PRIMARY KEY,
  shard_no SMALLINT UNSIGNED NOT NULL,
  bucket SMALLINT UNSIGNED NOT NULL,
  code VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asset VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  debit_owner VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  debit_purpose VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  credit_owner VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  credit_purpose VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  units DECIMAL(39,0) NOT NULL,
  state ENUM('open', 'posted', 'voided') NOT NULL,
  signed TINYINT UNSIGNED NOT NULL,
  opened_at DATETIME(6) NOT NULL,
  changed_at DATETIME(6) NOT NULL,
  KEY state (state, bucket)
) ENGINE=InnoDB;
-- The other halves that shards owe each other: in flight from the commit that sends one to the commit that applies it.
-- `digest` is that of the transfer that asks for it.
CREATE TABLE leg (
  id BINARY(16) NOT NULL PRIMARY KEY,
  digest BINARY(16) NOT NULL,
  from_shard SMALLINT UNSIGNED NOT NULL,
  leg_number BIGINT UNSIGNED NOT NULL,
  account BINARY(16) NOT NULL,
  bucket SMALLINT UNSIGNED NOT NULL,
  asset VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  side ENUM('debit', 'credit') NOT NULL,
  units DECIMAL(39,0) NOT NULL,
  sent_at DATETIME(6) NOT NULL,
  applied_at DATETIME(6) NULL,
  UNIQUE KEY number (from_shard, leg_number),
  KEY in_flight (applied_at, sent_at)
) ENGINE=InnoDB;
-- Where each bucket lives, moved by handovers; `shard_map` says where it shall live. Until `taken`, its shard only holds
-- what comes for it.
CREATE TABLE bucket (
  bucket SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  shard_no SMALLINT UNSIGNED NOT NULL,
  map_version INT UNSIGNED NOT NULL,
  taken TINYINT UNSIGNED NOT NULL
) ENGINE=InnoDB;
INSERT INTO bucket (bucket, shard_no, map_version, taken)
  WITH RECURSIVE every (bucket) AS (SELECT 0 UNION ALL SELECT bucket + 1 FROM every WHERE bucket < 255)
  SELECT bucket, 0, 1, 1 FROM every;
-- Transfers that came to a bucket's next shard before its takeover, in their order, in the form of their record.
CREATE TABLE held (
  seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  shard_no SMALLINT UNSIGNED NOT NULL,
  bucket SMALLINT UNSIGNED NOT NULL,
  body MEDIUMBLOB NOT NULL,
  held_at DATETIME(6) NOT NULL,
  KEY place (shard_no, bucket, seq)
) ENGINE=InnoDB;
-- Assets whose payouts are refused, one row for each cause; open until a person lifts it with a reason.
CREATE TABLE asset_freeze (
  asset VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  incident_id BINARY(16) NOT NULL,
  opened_at DATETIME(6) NOT NULL,
  lifted_at DATETIME(6) NULL,
  lifted_reason VARCHAR(512) NULL,
  PRIMARY KEY (asset, incident_id),
  KEY open (lifted_at, asset)
) ENGINE=InnoDB;
