"""Contracts of the local Ethereum chain, with their compiled artifacts."""
