"""Comparing the code's hashes with the external manifest, and the prepared responses to attacks."""
