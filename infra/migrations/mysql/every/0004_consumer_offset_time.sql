-- The newest record time (milliseconds) that a partition has shown: a record behind the fence that is
-- newer means that offsets began again, and must stop the partition instead of being dropped.
ALTER TABLE consumer_offset ADD COLUMN newest_ms BIGINT UNSIGNED NOT NULL DEFAULT 0;
