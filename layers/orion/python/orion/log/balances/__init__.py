"""What the chains hold for us against deposits and custody accounts (docs/books.md, "Balances")."""
