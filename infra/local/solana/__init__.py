"""A stand-in for a Solana node: JSON-RPC and WebSocket over LiteSVM, on loopback only.

What it models and what it does not is written in docs/engines/solana.md.
"""
