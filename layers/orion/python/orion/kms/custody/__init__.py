"""What a custodian decides, remembers and signs (docs/custody.md). It derives no keys: nothing here
may import `orion.kms.keys`.
"""
