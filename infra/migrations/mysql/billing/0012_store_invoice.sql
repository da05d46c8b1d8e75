-- Everything that a new invoice writes, in one round trip (docs/decisions/0065). It decides nothing: each value is a parameter.
-- With the rights of its caller. One that must write otherwise is a new procedure, with the next number, beside this one.
-- Error 31001: the idempotency key has its answer. 31002: a request with this key has not finished. No key: nothing is kept.
CREATE PROCEDURE store_invoice_1(
  IN v_scope VARBINARY(32), IN v_key VARCHAR(255), IN v_route VARCHAR(128), IN v_request_hash BINARY(32),
  IN v_answered_at DATETIME(6), IN v_answer_status SMALLINT, IN v_answer MEDIUMBLOB,
  IN v_group_no INT UNSIGNED, IN v_wallet_index INT UNSIGNED,
  IN v_invoice_id BINARY(16), IN v_merchant_id BINARY(16), IN v_lane VARCHAR(16), IN v_status VARCHAR(24),
  IN v_currency VARCHAR(16), IN v_price_units DECIMAL(39,0), IN v_reference VARCHAR(255) CHARACTER SET utf8mb4,
  IN v_created_at DATETIME(6), IN v_expires_at DATETIME(6), IN v_tolerance_bps SMALLINT UNSIGNED, IN v_wakes_at DATETIME(6),
  IN v_metadata TEXT CHARACTER SET utf8mb4, IN v_payment_link_id BINARY(16), IN v_session_id BINARY(16),
  IN v_success_url VARCHAR(2048), IN v_cancel_url VARCHAR(2048), IN v_language VARCHAR(8),
  IN v_options LONGTEXT CHARACTER SET utf8mb4, IN v_cause_type VARCHAR(16), IN v_trace_id CHAR(32),
  IN v_event_id BINARY(16), IN v_event_type VARCHAR(64), IN v_event_body MEDIUMTEXT CHARACTER SET utf8mb4,
  IN v_message_id BINARY(16), IN v_destination VARCHAR(96), IN v_partition_key VARBINARY(128), IN v_payload MEDIUMBLOB
)
MODIFIES SQL DATA
SQL SECURITY INVOKER
BEGIN
IF v_key IS NOT NULL THEN BEGIN
  DECLARE EXIT HANDLER FOR 1062 SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31001, MESSAGE_TEXT = 'the key has its answer'
; DECLARE EXIT HANDLER FOR 1205 SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31002, MESSAGE_TEXT = 'the key is in flight'
; INSERT INTO idempotency (scope, idempotency_key, route, request_hash, created_at, status, response)
  VALUES (v_scope, v_key, v_route, v_request_hash, v_answered_at, v_answer_status, v_answer)
; END
; END IF
; UPDATE orion_moneyin.wallet SET state = 'assigned', merchant_id = v_merchant_id, invoice_id = v_invoice_id,
  assigned_at = v_created_at WHERE group_no = v_group_no AND wallet_index = v_wallet_index
; INSERT INTO invoice (invoice_id, merchant_id, lane, status, currency, price_units, reference, created_at, expires_at,
  changes, tolerance_bps, wakes_at, metadata, payment_link_id, session_id, success_url, cancel_url, language)
  VALUES (v_invoice_id, v_merchant_id, v_lane, v_status, v_currency, v_price_units, v_reference, v_created_at, v_expires_at,
  1, v_tolerance_bps, v_wakes_at, v_metadata, v_payment_link_id, v_session_id, v_success_url, v_cancel_url, v_language)
; INSERT INTO payment_option (invoice_id, position, asset, due_units, rate_units, address, payment_link, rate_source,
  rate_providers, rate_path, rate_spread_bps, rate_observed_at)
  SELECT v_invoice_id, o.position, o.asset, o.due_units, o.rate_units, o.address, o.payment_link, o.rate_source,
  o.rate_providers, o.rate_path, o.rate_spread_bps, o.rate_observed_at
  FROM JSON_TABLE(v_options, '$[*]' COLUMNS (
    position TINYINT UNSIGNED PATH '$.position', asset VARCHAR(64) PATH '$.asset',
    due_units DECIMAL(39,0) PATH '$.due_units', rate_units DECIMAL(32,0) PATH '$.rate_units',
    address VARCHAR(128) PATH '$.address', payment_link VARCHAR(512) PATH '$.payment_link',
    rate_source VARCHAR(16) PATH '$.rate_source', rate_providers VARCHAR(255) PATH '$.rate_providers',
    rate_path VARCHAR(255) PATH '$.rate_path', rate_spread_bps SMALLINT UNSIGNED PATH '$.rate_spread_bps',
    rate_observed_at DATETIME(6) PATH '$.rate_observed_at')) o
; INSERT INTO invoice_change (invoice_id, number, from_status, to_status, cause_type, cause_subject, at, trace_id)
  VALUES (v_invoice_id, 1, NULL, v_status, v_cause_type, v_invoice_id, v_created_at, v_trace_id)
; INSERT INTO webhook_event (event_id, object_id, number, merchant_id, type, body, created_at, trace_id)
  VALUES (v_event_id, v_invoice_id, 1, v_merchant_id, v_event_type, v_event_body, v_created_at, v_trace_id)
; INSERT INTO outbox (event_id, destination, partition_key, payload, created_at)
  VALUES (v_message_id, v_destination, v_partition_key, v_payload, v_created_at)
; END;
