-- One row for each idempotency key of a caller. `scope` is the merchant's id, or a word such as 'public'.
-- Status and response stay NULL while the first request is in flight.
CREATE TABLE idempotency (
  scope VARBINARY(32) NOT NULL,
  idempotency_key VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  route VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  request_hash BINARY(32) NOT NULL,
  status SMALLINT NULL,
  response MEDIUMBLOB NULL,
  created_at DATETIME(6) NOT NULL,
  PRIMARY KEY (scope, idempotency_key),
  KEY created_at (created_at)
) ENGINE=InnoDB;
