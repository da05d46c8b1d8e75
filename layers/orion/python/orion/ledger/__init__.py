"""Double entry, decided without I/O; the specification is docs/ledger.md."""
