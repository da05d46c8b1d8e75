"""Rates: what a coin costs in a merchant's currency (docs/rates.md)."""
