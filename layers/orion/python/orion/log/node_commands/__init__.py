"""Commands to the nodes' agents, and their answers (docs/books.md, "Commands to nodes")."""
