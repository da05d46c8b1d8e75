"""A stand-in for java-tron: its HTTP API over a chain of one producer (docs/engines/tron.md)."""
