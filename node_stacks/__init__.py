"""Own nodes: one folder a chain, mostly data; `agent` is the program beside every node."""
