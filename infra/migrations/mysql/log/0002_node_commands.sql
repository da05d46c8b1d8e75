-- What was asked of a node's agent, and what it answered (docs/books.md, "Commands to nodes"). `expected` is what the
-- asker compares the answer with, a JSON array beside the items of `arguments`. One page of a subject is asked once.
CREATE TABLE node_command (
  command_id BINARY(16) NOT NULL,
  subject BINARY(16) NOT NULL,
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  page INT UNSIGNED NOT NULL,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  command VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  purpose VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  arguments MEDIUMBLOB NOT NULL,
  expected MEDIUMBLOB NOT NULL,
  trace_id BINARY(16) NOT NULL,
  asked_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  outcome ENUM('done', 'refused', 'failed') NULL,
  reason VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  result MEDIUMBLOB NULL,
  answered_at DATETIME(6) NULL,
  PRIMARY KEY (command_id),
  UNIQUE KEY page (subject, chain, page),
  KEY asked_at (asked_at)
) ENGINE=InnoDB;
-- How far a run has asked each chain. Without a node nobody can be asked; `after_place` is the last place asked for.
CREATE TABLE balance_check (
  run_id BINARY(16) NOT NULL,
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  height BIGINT UNSIGNED NULL,
  block_hash VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
  pages INT UNSIGNED NOT NULL,
  after_place VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asked_all TINYINT UNSIGNED NOT NULL,
  deadline DATETIME(6) NOT NULL,
  done TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (run_id, chain),
  KEY deadline (deadline)
) ENGINE=InnoDB;
