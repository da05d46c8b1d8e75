"""Memcached: what may be forgotten at any moment."""
