-- The next numbers of each shard, moved in the transaction that uses them, so that no number is ever missing.
CREATE TABLE shard (
  shard_no SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  next_posted BIGINT UNSIGNED NOT NULL,
  next_refused BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB;
-- Which shard owns a bucket under a version of the map. Version 1 gives all 256 buckets to shard 0.
CREATE TABLE shard_map (
  map_version INT UNSIGNED NOT NULL,
  bucket_from SMALLINT UNSIGNED NOT NULL,
  bucket_to SMALLINT UNSIGNED NOT NULL,
  shard_no SMALLINT UNSIGNED NOT NULL,
  PRIMARY KEY (map_version, bucket_from)
) ENGINE=InnoDB;
INSERT INTO shard (shard_no, next_posted, next_refused) VALUES (0, 1, 1);
INSERT INTO shard_map (map_version, bucket_from, bucket_to, shard_no) VALUES (1, 0, 255, 0);
