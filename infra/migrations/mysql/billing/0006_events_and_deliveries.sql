-- Events as a stream with positions, and deliveries with their attempts, lanes and shares (docs/webhooks.md).
-- Whatever changes is an event, not only invoices: `object_id` is the invoice, the endpoint, …
ALTER TABLE webhook_event
  RENAME COLUMN invoice_id TO object_id,
  ADD COLUMN written BIGINT UNSIGNED NULL,
  ADD COLUMN position BIGINT UNSIGNED NULL;

-- Events that were stored before the stream began get the order of their moments, and of their numbers within an object.
UPDATE webhook_event JOIN (
  SELECT event_id, ROW_NUMBER() OVER (ORDER BY created_at, object_id, number) AS turn FROM webhook_event
) AS old ON old.event_id = webhook_event.event_id
SET webhook_event.written = old.turn;

-- `written` orders what waits for a position; it is no cursor, because numbers are taken before the commit.
ALTER TABLE webhook_event
  MODIFY COLUMN written BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  ADD UNIQUE KEY in_order_of_writing (written),
  ADD UNIQUE KEY stream (merchant_id, position),
  ADD KEY without_position (position, merchant_id, written);

CREATE TABLE event_stream (
  merchant_id BINARY(16) NOT NULL PRIMARY KEY,
  last_position BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB;

-- A deleted endpoint keeps its row, without a slot, until its last delivery is given up.
ALTER TABLE webhook_endpoint
  MODIFY COLUMN slot TINYINT UNSIGNED NULL,
  MODIFY COLUMN event_types VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ADD COLUMN changes INT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN disabled_reason VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN disabled_at DATETIME(6) NULL,
  ADD COLUMN previous_secret_ciphertext VARBINARY(1024) NULL,
  ADD COLUMN previous_secret_until DATETIME(6) NULL,
  ADD COLUMN lane VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'fast',
  ADD COLUMN share SMALLINT UNSIGNED NOT NULL DEFAULT 1,
  ADD COLUMN failures INT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN failing_since DATETIME(6) NULL,
  ADD COLUMN last_sent_at DATETIME(6) NULL;

-- `schedule_from`: attempts before the present schedule, 0 but for redeliveries. `lane`: whose senders have it while queued.
ALTER TABLE webhook_delivery
  RENAME COLUMN invoice_id TO object_id,
  MODIFY COLUMN attempt SMALLINT UNSIGNED NOT NULL,
  ADD COLUMN schedule_from SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN lane VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN created_at DATETIME(6) NULL,
  DROP KEY due,
  ADD KEY next_of_endpoint (endpoint_id, state, due_at),
  ADD KEY of_endpoint (endpoint_id, created_at, delivery_id);

UPDATE webhook_delivery JOIN webhook_event ON webhook_event.event_id = webhook_delivery.event_id
SET webhook_delivery.created_at = webhook_event.created_at;

ALTER TABLE webhook_delivery MODIFY COLUMN created_at DATETIME(6) NOT NULL;

CREATE TABLE webhook_attempt (
  delivery_id BINARY(16) NOT NULL,
  attempt SMALLINT UNSIGNED NOT NULL,
  at DATETIME(6) NOT NULL,
  duration_ms INT UNSIGNED NULL,
  outcome VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  status SMALLINT UNSIGNED NULL,
  error VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  answer VARCHAR(1024) CHARACTER SET utf8mb4 NULL,
  PRIMARY KEY (delivery_id, attempt),
  KEY old (at)
) ENGINE=InnoDB;
