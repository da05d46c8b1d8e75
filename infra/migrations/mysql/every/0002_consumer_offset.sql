-- The fence of a consumer: the first offset of the partition that was not applied yet.
CREATE TABLE consumer_offset (
  topic VARCHAR(96) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partition_no INT NOT NULL,
  next_offset BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (topic, partition_no)
) ENGINE=InnoDB;
