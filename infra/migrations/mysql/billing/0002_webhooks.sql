-- Webhook endpoints, events and deliveries (docs/invoices.md). A secret is stored as KMS ciphertext only.
CREATE TABLE webhook_endpoint (
  endpoint_id BINARY(16) NOT NULL PRIMARY KEY,
  merchant_id BINARY(16) NOT NULL,
  slot TINYINT UNSIGNED NOT NULL,
  url VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  event_types VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  secret_ciphertext VARBINARY(1024) NOT NULL,
  created_at DATETIME(6) NOT NULL,
  UNIQUE KEY of_merchant (merchant_id, slot)
) ENGINE=InnoDB;

CREATE TABLE webhook_event (
  event_id BINARY(16) NOT NULL PRIMARY KEY,
  invoice_id BINARY(16) NOT NULL,
  number INT UNSIGNED NOT NULL,
  merchant_id BINARY(16) NOT NULL,
  type VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  body MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
  created_at DATETIME(6) NOT NULL,
  trace_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  UNIQUE KEY of_invoice (invoice_id, number)
) ENGINE=InnoDB;

CREATE TABLE webhook_delivery (
  delivery_id BINARY(16) NOT NULL PRIMARY KEY,
  event_id BINARY(16) NOT NULL,
  endpoint_id BINARY(16) NOT NULL,
  invoice_id BINARY(16) NOT NULL,
  number INT UNSIGNED NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  attempt TINYINT UNSIGNED NOT NULL,
  due_at DATETIME(6) NULL,
  last_status SMALLINT UNSIGNED NULL,
  last_error VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  finished_at DATETIME(6) NULL,
  UNIQUE KEY in_order (invoice_id, endpoint_id, number),
  KEY due (due_at, delivery_id)
) ENGINE=InnoDB;
