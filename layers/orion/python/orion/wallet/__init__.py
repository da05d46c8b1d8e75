"""Public derivation (BIP-32), the paths and the addresses of a wallet. Nothing in this package can
hold a private key.
"""
