"""Orion-Pay: a multi-chain crypto payment gateway. `docs/contracts.md` says how its rooms meet."""
