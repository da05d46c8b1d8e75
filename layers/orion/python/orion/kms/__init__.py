"""Group seeds and the addresses under them. Who may import `orion.kms.keys` stands in
pyproject.toml."""
