"""Money in: watched addresses, deposits, confirmations and reorgs (docs/moneyin.md)."""
