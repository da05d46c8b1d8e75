"""The log book: what the ledger posted, in signed segments that are written once. docs/books.md."""
