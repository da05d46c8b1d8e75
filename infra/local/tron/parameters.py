"""The chain's parameters: parameters.toml beside this file, read once."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

SUN_PER_TRX = 1_000_000
SLOT_MS = 3_000
# Usage decays to nothing within this many slots: 24 hours.
WINDOW_SLOTS = 28_800
EXPIRATION_MAX_MS = 24 * 3_600 * 1_000
TAPOS_BLOCKS = 65_536
TRANSACTION_BYTES_MAX = 500 * 1024
# Counted for the result that is stored with a contract.
RESULT_BYTES = 64
SIGNATURES_MAX = 5
ACTIVE_PERMISSIONS_MAX = 8
OPERATIONS_BYTES = 32
# The operations of an account's first active permission: all but permission updates (46).
# Source: java-tron's ACTIVE_DEFAULT_OPERATIONS with the types of Stake 2.0, as tronscan shows it.
DEFAULT_OPERATIONS = bytes.fromhex("7fff1fc0033efb0f").ljust(OPERATIONS_BYTES, b"\0")


def _table(name: str) -> Mapping[str, int]:
    with (Path(__file__).parent / "parameters.toml").open("rb") as file:
        return MappingProxyType(dict(tomllib.load(file)[name]))


CHAIN = _table("chain")
NETWORK = _table("network")
