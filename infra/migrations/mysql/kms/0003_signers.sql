-- Which key belongs to which set and custodian: a key in two sets would give one of them fewer than five holders.
CREATE TABLE custody_key (
  public_key VARBINARY(33) NOT NULL,
  set_no INT UNSIGNED NOT NULL,
  custodian TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (public_key),
  KEY of_set (set_no)
) ENGINE=InnoDB;

-- What a signer with a float (executor, fee payer) may still cost: the highest fees of everything signed since the last refill, in
-- smallest units of the chain's native asset.
CREATE TABLE signer_float (
  signer VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  committed_units DECIMAL(60, 0) NOT NULL,
  PRIMARY KEY (signer)
) ENGINE=InnoDB;

-- One body for each slot, for ever: a nonce on Ethereum, a message on Solana. `fee_max_units` is the highest of the slot's versions.
CREATE TABLE signer_slot (
  signer VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  slot VARCHAR(96) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  body_digest BINARY(32) NOT NULL,
  fee_max_units DECIMAL(60, 0) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (signer, slot)
) ENGINE=InnoDB;

-- Written before KMS is asked, so that a process that dies in between leaves a record and no signature; the same request then signs.
CREATE TABLE signer_version (
  signer VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  slot VARCHAR(96) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  version BINARY(32) NOT NULL,
  fee_max_units DECIMAL(60, 0) NOT NULL,
  signature VARBINARY(65) NULL,
  created_at DATETIME(6) NOT NULL,
  signed_at DATETIME(6) NULL,
  PRIMARY KEY (signer, slot, version)
) ENGINE=InnoDB;

CREATE TABLE signer_refill (
  signer VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  refill_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  units DECIMAL(60, 0) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (signer, refill_id)
) ENGINE=InnoDB;
