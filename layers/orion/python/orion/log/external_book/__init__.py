"""The external book: what `ledger.posted` says, kept by other credentials in another database."""
