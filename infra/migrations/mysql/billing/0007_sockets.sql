-- Pages that are open on an invoice (docs/checkout.md, "Live status"). A row that has expired is no connection any more.
CREATE TABLE socket_connection (
  connection_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  invoice_id BINARY(16) NOT NULL,
  opened_at DATETIME(6) NOT NULL,
  expires_at DATETIME(6) NOT NULL,
  KEY of_invoice (invoice_id, expires_at),
  KEY expired (expires_at)
) ENGINE=InnoDB;
