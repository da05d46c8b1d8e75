-- What the market's tickers say, what a merchant chose, and why an invoice's rate is this one (docs/rates.md).
-- One row a market and provider: the newest that was observed. Units are 10^-12 of the quote.
CREATE TABLE rate_ticker (
  market VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  provider VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  bid_units DECIMAL(32,0) NOT NULL,
  ask_units DECIMAL(32,0) NOT NULL,
  observed_at DATETIME(6) NOT NULL,
  stored_at DATETIME(6) NOT NULL,
  PRIMARY KEY (market, provider)
) ENGINE=InnoDB;

CREATE TABLE rate_setting (
  merchant_id BINARY(16) NOT NULL PRIMARY KEY,
  sources VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  spread_bps SMALLINT UNSIGNED NOT NULL,
  set_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;

-- Null of options that were made before these columns: why their rate was that one is not known.
ALTER TABLE payment_option
  ADD COLUMN rate_source VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN rate_providers VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN rate_path VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN rate_spread_bps SMALLINT UNSIGNED NULL,
  ADD COLUMN rate_observed_at DATETIME(6) NULL;
