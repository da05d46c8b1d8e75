-- One row a group of 10,000 wallets. The seed is encrypted inside the kms function (AWS Encryption SDK message,
-- bound to group, purpose and stage); without the KMS key and that context the row opens nothing.
CREATE TABLE wallet_group (
  group_no INT UNSIGNED NOT NULL PRIMARY KEY,
  seed_ciphertext VARBINARY(4096) NOT NULL,
  key_arn VARCHAR(256) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;
