-- Custody sets: five secp256k1 points of 33 bytes and five Ed25519 keys of 32 bytes, custodians 1 to 5 in order. A set has one
-- purpose for ever; the second key is there for others to refer to (docs/custody.md).
CREATE TABLE custody_set (
  set_no INT UNSIGNED NOT NULL,
  purpose ENUM('hot', 'warm') NOT NULL,
  secp256k1 VARBINARY(165) NOT NULL,
  ed25519 VARBINARY(160) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (set_no),
  UNIQUE KEY of_purpose (set_no, purpose)
) ENGINE=InnoDB;

-- Which set holds a group's hot and warm wallet now. The reference takes both columns, so a hot and a warm wallet never share one.
CREATE TABLE group_custody (
  group_no INT UNSIGNED NOT NULL,
  kind ENUM('hot', 'warm') NOT NULL,
  set_no INT UNSIGNED NOT NULL,
  PRIMARY KEY (group_no, kind),
  KEY of_set (set_no, kind),
  CONSTRAINT set_of_that_purpose FOREIGN KEY (set_no, kind) REFERENCES custody_set (set_no, purpose)
) ENGINE=InnoDB;

-- The public description of a custody wallet on one chain. `anchor` is what the address follows from beside the keys (empty where
-- nothing does). The account comes to be on chain at its first use: `on_chain_at` is null until then.
CREATE TABLE custody_account (
  group_no INT UNSIGNED NOT NULL,
  kind ENUM('hot', 'warm') NOT NULL,
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  set_no INT UNSIGNED NOT NULL,
  anchor VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  address VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL,
  on_chain_at DATETIME(6) NULL,
  PRIMARY KEY (group_no, kind, chain, set_no)
) ENGINE=InnoDB;

-- A chain's account key of a group, for that chain's sweep signer: encrypted under `alias/orion/<stage>/sweep-<chain>` and bound to
-- group, purpose and stage. `chain` is `bitcoin`, `ethereum`, `tron`, `solana`, or `tron-custody` (docs/wallets.md).
CREATE TABLE group_chain_key (
  group_no INT UNSIGNED NOT NULL,
  chain VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ciphertext VARBINARY(4096) NOT NULL,
  key_arn VARCHAR(256) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (group_no, chain)
) ENGINE=InnoDB;

-- Ranges of wallets that a batch has told moneyin, written with their records: a batch that starts again passes over them. The
-- networks belong to the key, because a stage that gets a chain has told none of its ranges.
CREATE TABLE wallet_range (
  group_no INT UNSIGNED NOT NULL,
  first_index INT UNSIGNED NOT NULL,
  networks_id BINARY(16) NOT NULL,
  wallet_count INT UNSIGNED NOT NULL,
  trace_id BINARY(16) NOT NULL,
  told_at DATETIME(6) NOT NULL,
  PRIMARY KEY (group_no, first_index, networks_id)
) ENGINE=InnoDB;
