-- Events that this module owes to Kafka or SQS, written in the transaction of their cause (docs/contracts.md).
CREATE TABLE outbox (
  seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  event_id BINARY(16) NOT NULL,
  destination VARCHAR(96) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partition_key VARBINARY(128) NOT NULL,
  payload MEDIUMBLOB NOT NULL,
  created_at DATETIME(6) NOT NULL,
  sent_at DATETIME(6) NULL,
  UNIQUE KEY event_id (event_id),
  KEY unsent (sent_at, seq)
) ENGINE=InnoDB;
