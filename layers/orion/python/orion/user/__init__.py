"""Merchants and their API keys. Accounts, people and KYC come to this room later."""
