"""A merchant's view of the ledger's statements."""
