"""Programs, mints and sizes that custody transactions on Solana name.

Sources: SPL Token `state.rs` (sizes of accounts), Agave's `rent.rs` (3,480 lamports a byte-year,
two years, 128 bytes of overhead) and `fee_calculator.rs` (5,000 lamports a signature).
"""

from orion.chains import base58

SYSTEM = bytes(32)
TOKEN = base58.decode("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = base58.decode("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN = base58.decode("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
COMPUTE_BUDGET = base58.decode("ComputeBudget111111111111111111111111111111")
WRAPPED_SOL = base58.decode("So11111111111111111111111111111111111111112")
PROGRAMS = frozenset({SYSTEM, TOKEN, TOKEN_2022, ASSOCIATED_TOKEN, COMPUTE_BUDGET})

TOKEN_ACCOUNT_BYTES = 165
MULTISIG_BYTES = 355
LAMPORTS_PER_SIGNATURE = 5_000
UINT64_MAX = 2**64 - 1
_ACCOUNT_OVERHEAD_BYTES = 128
_LAMPORTS_PER_BYTE = 3_480 * 2


def rent_lamports(size_bytes: int) -> int:
    """What frees an account of `size_bytes` from rent: 165 bytes cost 2,039,280 lamports."""
    return (_ACCOUNT_OVERHEAD_BYTES + size_bytes) * _LAMPORTS_PER_BYTE


TOKEN_ACCOUNT_RENT = rent_lamports(TOKEN_ACCOUNT_BYTES)
MULTISIG_RENT = rent_lamports(MULTISIG_BYTES)
