"""Signs sweeps of Tron wallets into their group's custody, and can open no other chain's key."""

from orion.runtime.kms_signing import sweep_handler

handler = sweep_handler("tron")
