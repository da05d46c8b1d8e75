"""Addresses that follow from others: with a seed, of a program, and associated token accounts.

Sources: crate solana-pubkey, `create_with_seed` and `find_program_address`; SPL Associated Token
Account, `get_associated_token_address_and_bump_seed`.
"""

import hashlib

from orion.chains.solana.curve import is_on_curve
from orion.chains.solana.programs import ASSOCIATED_TOKEN, TOKEN

SEED_BYTES_MAX = 32
_MARKER = b"ProgramDerivedAddress"


def with_seed(base: bytes, seed: str, program: bytes) -> bytes:
    """The account of `program` that only `base` can make with `seed`, which is ASCII of at most 32
    bytes.
    """
    return hashlib.sha256(base + seed.encode("ascii") + program).digest()


def program_address(seeds: tuple[bytes, ...], program: bytes) -> bytes:
    """The first address off the curve over `seeds` and a number that falls from 255: no key signs
    for it, the program does.
    """
    for bump in range(255, -1, -1):
        found = hashlib.sha256(b"".join(seeds) + bytes([bump]) + program + _MARKER).digest()
        if not is_on_curve(found):
            return found
    # 256 hashes on the curve in a row: a chance of 2^-256.
    raise AssertionError("no program address")


def associated(owner: bytes, mint: bytes, token_program: bytes = TOKEN) -> bytes:
    """The associated token account of `owner` for `mint`."""
    return program_address((owner, token_program, mint), ASSOCIATED_TOKEN)
