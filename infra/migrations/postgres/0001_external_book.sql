-- The external book lives in a schema of its own; nobody but its owner may create anything in `public`.
CREATE SCHEMA external_book;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
