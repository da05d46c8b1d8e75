"""Private derivation. In a layer of its own that only kms functions carry."""
