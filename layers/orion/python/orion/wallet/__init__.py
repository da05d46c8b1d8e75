"""Public derivation (BIP-32) and the paths of a wallet. Nothing in this package can hold a
private key.
"""
