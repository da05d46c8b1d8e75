"""The command `orion` for operators: what a stage's books say. docs/operations/books.md."""
