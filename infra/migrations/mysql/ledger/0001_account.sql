-- An account exists from its first transfer on. Counters only grow, except the pending ones, which a post or a
-- void takes back. DECIMAL(39,0) holds 2^128-1, the largest counter that the ledger accepts.
CREATE TABLE account (
  id BINARY(16) NOT NULL PRIMARY KEY,
  owner VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  purpose VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  asset VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  bucket SMALLINT UNSIGNED NOT NULL,
  debits_posted DECIMAL(39,0) NOT NULL,
  debits_pending DECIMAL(39,0) NOT NULL,
  credits_posted DECIMAL(39,0) NOT NULL,
  credits_pending DECIMAL(39,0) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  UNIQUE KEY owner (owner, asset, purpose),
  KEY bucket (bucket, id)
) ENGINE=InnoDB;
