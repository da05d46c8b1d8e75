-- The node whose blocks move a chain's deposits (docs/moneyin.md, "Which node counts").
CREATE TABLE chain_head (
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (chain)
) ENGINE=InnoDB;

-- The newest blocks of each node's best chain, one unbroken line. `parent` is empty for a reference block.
CREATE TABLE chain_block (
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  height BIGINT UNSIGNED NOT NULL,
  block_hash VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  parent VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (chain, node, height)
) ENGINE=InnoDB;

-- The cursor is the window's tip, height and hash again for people; a standing gap has a time.
CREATE TABLE chain_cursor (
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tip_height BIGINT UNSIGNED NULL,
  tip_hash VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
  resume_sent_at DATETIME(6) NULL,
  PRIMARY KEY (chain, node)
) ENGINE=InnoDB;

-- Payments to watched addresses in blocks that are not complete yet; `transfers` is a JSON object.
CREATE TABLE staged_part (
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  node VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  block_hash VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  part INT UNSIGNED NOT NULL,
  transfers MEDIUMTEXT NOT NULL,
  PRIMARY KEY (chain, node, block_hash, part)
) ENGINE=InnoDB;
