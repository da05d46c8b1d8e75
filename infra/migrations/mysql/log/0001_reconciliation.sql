-- One run of the reconciliation; `run_id` follows from `name`, the execution of the state machine.
CREATE TABLE run (
  run_id BINARY(16) NOT NULL PRIMARY KEY,
  name VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  scope ENUM('recent', 'all') NOT NULL,
  trace_id BINARY(16) NOT NULL,
  started_at DATETIME(6) NOT NULL,
  planned_at DATETIME(6) NULL,
  finished_at DATETIME(6) NULL,
  outcome ENUM('equal', 'different', 'not_checked') NULL,
  report VARCHAR(256) CHARACTER SET ascii COLLATE ascii_bin NULL,
  UNIQUE KEY name (name),
  KEY started_at (started_at)
) ENGINE=InnoDB;
-- What a run compares of each shard, fixed at its first step. Strays are numbers that nobody gave, NULL where there are none.
CREATE TABLE run_shard (
  run_id BINARY(16) NOT NULL,
  shard_no INT NOT NULL,
  through_number BIGINT NOT NULL,
  strays TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (run_id, shard_no)
) ENGINE=InnoDB;
CREATE TABLE run_range (
  run_id BINARY(16) NOT NULL,
  range_no INT UNSIGNED NOT NULL,
  shard_no INT NOT NULL,
  first_number BIGINT NOT NULL,
  last_number BIGINT NOT NULL,
  strays TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (run_id, range_no)
) ENGINE=InnoDB;
-- When the pieces of a shard's older numbers were last read without a failure: a run reads first what was not read for longest.
CREATE TABLE piece_read (
  shard_no INT NOT NULL,
  piece_no BIGINT NOT NULL,
  read_at DATETIME(6) NOT NULL,
  PRIMARY KEY (shard_no, piece_no)
) ENGINE=InnoDB;
-- What one book holds of a range, and the tree over each of its hours (UTC).
CREATE TABLE range_book (
  run_id BINARY(16) NOT NULL,
  range_no INT UNSIGNED NOT NULL,
  book ENUM('mysql', 'segments', 'external') NOT NULL,
  records BIGINT UNSIGNED NOT NULL,
  whole TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (run_id, range_no, book)
) ENGINE=InnoDB;
CREATE TABLE hour_root (
  run_id BINARY(16) NOT NULL,
  range_no INT UNSIGNED NOT NULL,
  book ENUM('mysql', 'segments', 'external') NOT NULL,
  hour DATETIME NOT NULL,
  entries BIGINT UNSIGNED NOT NULL,
  root BINARY(32) NOT NULL,
  PRIMARY KEY (run_id, range_no, book, hour)
) ENGINE=InnoDB;
-- An item of a step that was checked, and how many differences it found.
CREATE TABLE checked (
  run_id BINARY(16) NOT NULL,
  step ENUM('plan', 'roots', 'compare', 'causes', 'sums', 'balances') NOT NULL,
  item VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  differences BIGINT UNSIGNED NOT NULL,
  checked_at DATETIME(6) NOT NULL,
  PRIMARY KEY (run_id, step, item)
) ENGINE=InnoDB;
-- The first thousand differences of a run. `asset` is a coin, or empty where one concerns every asset.
CREATE TABLE difference (
  run_id BINARY(16) NOT NULL,
  step ENUM('plan', 'roots', 'compare', 'causes', 'sums', 'balances') NOT NULL,
  item VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq INT UNSIGNED NOT NULL,
  kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  wrong VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  shard_no INT NULL,
  number BIGINT NULL,
  position INT NULL,
  transfer_id BINARY(16) NULL,
  account VARCHAR(256) NULL,
  asset VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  found VARCHAR(512) NULL,
  expected VARCHAR(512) NULL,
  PRIMARY KEY (run_id, step, item, seq)
) ENGINE=InnoDB;
-- All differences, counted: also those that are not stored.
CREATE TABLE difference_count (
  run_id BINARY(16) NOT NULL,
  step ENUM('plan', 'roots', 'compare', 'causes', 'sums', 'balances') NOT NULL,
  item VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asset VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  differences BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (run_id, step, item, kind, asset)
) ENGINE=InnoDB;
-- The balances of a run: all accounts of a purpose together. The words are bytes, whatever a book has there: no collation
-- takes two of them for one.
CREATE TABLE purpose_total (
  run_id BINARY(16) NOT NULL,
  asset VARBINARY(160) NOT NULL,
  purpose VARBINARY(128) NOT NULL,
  accounts BIGINT UNSIGNED NOT NULL,
  debits DECIMAL(50,0) NOT NULL,
  credits DECIMAL(50,0) NOT NULL,
  PRIMARY KEY (run_id, asset, purpose)
) ENGINE=InnoDB;
-- What a person must look at: one row for each asset with a difference and run. Where it `freezes`, orion_ledger.asset_freeze
-- has a row of the same id, which only the ledger's operators lift.
CREATE TABLE incident (
  incident_id BINARY(16) NOT NULL PRIMARY KEY,
  run_id BINARY(16) NOT NULL,
  asset VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  freezes TINYINT UNSIGNED NOT NULL,
  differences BIGINT UNSIGNED NOT NULL,
  opened_at DATETIME(6) NOT NULL,
  closed_at DATETIME(6) NULL,
  closed_by VARCHAR(128) NULL,
  closed_reason VARCHAR(512) NULL,
  UNIQUE KEY run_asset (run_id, asset),
  KEY open (closed_at, opened_at)
) ENGINE=InnoDB;
