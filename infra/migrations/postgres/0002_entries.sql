-- Accounts and entries as `ledger.posted` told them. Nothing here is ever changed: the triggers below refuse it to everybody, also to the owner.
-- An account's id is fact_id("account", owner, purpose, asset) of docs/ledger.md, so the directory proves itself.
CREATE TABLE external_book.account (
  id bytea NOT NULL PRIMARY KEY,
  owner varchar(64) NOT NULL,
  purpose varchar(32) NOT NULL,
  asset varchar(32) NOT NULL,
  CONSTRAINT names_have_their_form CHECK (
    owner COLLATE "C" ~ '^(merchant:[0-9a-f]{32}|system:[a-z][a-z0-9-]{0,31}|shard:(0|[1-9][0-9]{0,4}))$'
    AND purpose COLLATE "C" ~ '^[a-z_]{1,32}$' AND asset COLLATE "C" ~ '^[A-Z0-9]{1,15}([.][a-z0-9]{1,16})?$'),
  CONSTRAINT id_is_of_its_names CHECK (id = substr(sha256(
    'orion-fact-1'::bytea
    || 's'::bytea || int4send(7) || 'account'::bytea
    || 's'::bytea || int4send(octet_length(owner)) || convert_to(owner, 'UTF8')
    || 's'::bytea || int4send(octet_length(purpose)) || convert_to(purpose, 'UTF8')
    || 's'::bytea || int4send(octet_length(asset)) || convert_to(asset, 'UTF8')), 1, 16))
);
-- The columns of the entry's line (docs/books.md), under the number of its record.
CREATE TABLE external_book.entry (
  shard_no integer NOT NULL CHECK (shard_no BETWEEN 0 AND 65535),
  number bigint NOT NULL CHECK (number >= 1),
  position integer NOT NULL CHECK (position BETWEEN 0 AND 65535),
  id bytea NOT NULL CHECK (octet_length(id) = 16),
  digest bytea NOT NULL CHECK (octet_length(digest) = 16),
  kind varchar(16) NOT NULL CHECK (kind COLLATE "C" ~ '^[a-z_]{1,16}$'),
  code varchar(32) NOT NULL CHECK (code COLLATE "C" ~ '^[a-z_]{1,32}$'),
  linked boolean NOT NULL,
  pending_id bytea NULL CHECK (octet_length(pending_id) = 16),
  debit_account bytea NOT NULL,
  credit_account bytea NOT NULL,
  counterpart bytea NULL,
  units numeric(39,0) NOT NULL CHECK (units BETWEEN 1 AND 340282366920938463463374607431768211455),
  cause bytea NOT NULL CHECK (octet_length(cause) <= 512),
  trace_id bytea NOT NULL CHECK (octet_length(trace_id) = 16),
  posted_at timestamptz NOT NULL CHECK (posted_at BETWEEN '1970-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00'),
  PRIMARY KEY (shard_no, number, position),
  UNIQUE (id)
);
-- How far the writer has come: the fence of its transactions, and the only row that changes.
CREATE TABLE external_book.cursor (
  topic varchar(96) NOT NULL,
  partition_no integer NOT NULL,
  next_offset bigint NOT NULL CHECK (next_offset >= 0),
  next_number bigint NOT NULL CHECK (next_number >= 1),
  PRIMARY KEY (topic, partition_no)
);
CREATE FUNCTION external_book.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$ BEGIN
  RAISE EXCEPTION '% on %.% is refused: the external book only grows', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation'; END $$;
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON external_book.account
  FOR EACH STATEMENT EXECUTE FUNCTION external_book.refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON external_book.entry
  FOR EACH STATEMENT EXECUTE FUNCTION external_book.refuse_change();
-- One look-up a statement instead of three a row, which foreign keys would cost. Accounts are never deleted, so what is found stays true.
CREATE FUNCTION external_book.require_accounts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$ BEGIN
  IF EXISTS (
    SELECT named.id FROM (
      SELECT debit_account AS id FROM added UNION SELECT credit_account FROM added
      UNION SELECT counterpart FROM added WHERE counterpart IS NOT NULL) AS named
    WHERE NOT EXISTS (SELECT 1 FROM external_book.account WHERE account.id = named.id))
  THEN RAISE EXCEPTION 'an entry names an account that this book does not know'
    USING ERRCODE = 'foreign_key_violation'; END IF; RETURN NULL; END $$;
CREATE TRIGGER accounts_are_known AFTER INSERT ON external_book.entry REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION external_book.require_accounts();
-- ALWAYS: they fire for sessions that replay a replica's log (session_replication_role), too.
ALTER TABLE external_book.account ENABLE ALWAYS TRIGGER only_grows;
ALTER TABLE external_book.entry ENABLE ALWAYS TRIGGER only_grows;
ALTER TABLE external_book.entry ENABLE ALWAYS TRIGGER accounts_are_known;
-- Nobody enters this database, or makes temporary tables in it, but whom a right names (grants.toml).
DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()); END $$;
REVOKE ALL ON FUNCTION external_book.refuse_change() FROM PUBLIC;
REVOKE ALL ON FUNCTION external_book.require_accounts() FROM PUBLIC;
