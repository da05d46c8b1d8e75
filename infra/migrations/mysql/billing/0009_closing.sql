-- Why the endpoint was closed while a delivery was with a sender: it ends with this reason, and is not tried again (docs/webhooks.md, "Closing").
ALTER TABLE webhook_delivery ADD COLUMN closing VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL;
