-- What was refused and why, under the numbers of `ledger.refused`. A refused transfer stays refused: the same content
-- delivered again is found here and changes nothing.
CREATE TABLE refusal (
  shard_no SMALLINT UNSIGNED NOT NULL,
  number BIGINT UNSIGNED NOT NULL,
  position SMALLINT UNSIGNED NOT NULL,
  id BINARY(16) NOT NULL,
  digest BINARY(16) NOT NULL,
  reason VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  content VARBINARY(2048) NOT NULL,
  trace_id BINARY(16) NOT NULL,
  refused_at DATETIME(6) NOT NULL,
  PRIMARY KEY (shard_no, number, position),
  UNIQUE KEY id (id, digest)
) ENGINE=InnoDB;
