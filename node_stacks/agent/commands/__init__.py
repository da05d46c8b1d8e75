"""Commands that an agent executes beside following its chain (docs/books.md, "Commands to nodes").

What is not signed by an issuer that the stage names, or was seen before, or is too old, has no
effect. Nothing here listens: commands and answers go through Kafka only.
"""
