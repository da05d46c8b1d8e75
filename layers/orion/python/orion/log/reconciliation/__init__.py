"""The daily comparison of the three books, of causes, sums and balances (docs/books.md)."""
