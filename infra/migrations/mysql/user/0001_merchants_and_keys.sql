-- Who is paid. `lane` says which API host serves the merchant.
CREATE TABLE merchant (
  merchant_id BINARY(16) NOT NULL PRIMARY KEY,
  name VARCHAR(80) NOT NULL,
  lane ENUM('standard', 'vip') NOT NULL,
  created_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;

-- API keys: the SHA-256 of the secret, never the secret. `scopes` is a list separated by spaces.
CREATE TABLE api_key (
  key_id BINARY(16) NOT NULL PRIMARY KEY,
  merchant_id BINARY(16) NOT NULL,
  name VARCHAR(80) NOT NULL,
  scopes VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  secret_hash BINARY(32) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  revoked_at DATETIME(6) NULL,
  KEY by_merchant (merchant_id, key_id),
  CONSTRAINT key_of_merchant FOREIGN KEY (merchant_id) REFERENCES merchant (merchant_id)
) ENGINE=InnoDB;
