"""Runnable stories, built only on the public API, public wallets and a browser."""
