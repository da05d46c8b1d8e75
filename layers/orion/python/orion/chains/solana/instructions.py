"""The instructions that custody transactions are made of, as bytes.

Sources: Agave `system_interface::instruction` (numbers as u32, little-endian), SPL Token
`instruction.rs` and SPL Associated Token Account (one byte), `compute-budget-interface` (borsh).
Token-2022 shares the token instructions; its program id is the argument that a second multisig
would pass.
"""

from collections.abc import Sequence

from orion.chains.solana.derived import associated
from orion.chains.solana.message import Instruction, Meta
from orion.chains.solana.programs import ASSOCIATED_TOKEN, COMPUTE_BUDGET, SYSTEM, TOKEN

_TRANSFER_SOL = 2
_ALLOCATE_WITH_SEED = 9
_CLOSE_ACCOUNT = 9
_TRANSFER_CHECKED = 12
_SYNC_NATIVE = 17
_INITIALIZE_ACCOUNT_3 = 18
_INITIALIZE_MULTISIG_2 = 19
_CREATE_IDEMPOTENT = 1
_COMPUTE_LIMIT = 2
_COMPUTE_PRICE = 3


def compute_limit(units: int) -> Instruction:
    """At most `units` compute units for the transaction."""
    return Instruction(COMPUTE_BUDGET, (), bytes([_COMPUTE_LIMIT]) + units.to_bytes(4, "little"))


def compute_price(micro_lamports: int) -> Instruction:
    """The priority fee: `micro_lamports` for each unit of the limit."""
    data = bytes([_COMPUTE_PRICE]) + micro_lamports.to_bytes(8, "little")
    return Instruction(COMPUTE_BUDGET, (), data)


def transfer_sol(source: bytes, recipient: bytes, lamports: int) -> Instruction:
    """Lamports of `source`, which signs."""
    accounts = (Meta(source, signs=True, writable=True), Meta(recipient, writable=True))
    data = _TRANSFER_SOL.to_bytes(4, "little") + lamports.to_bytes(8, "little")
    return Instruction(SYSTEM, accounts, data)


def allocate_with_seed(
    account: bytes, base: bytes, seed: str, size_bytes: int, owner: bytes
) -> Instruction:
    """Give the account that `base` and `seed` name its size and its program.

    Unlike CreateAccountWithSeed it does not fail when a stranger has sent lamports to the address,
    which everybody can compute.
    """
    data = (
        _ALLOCATE_WITH_SEED.to_bytes(4, "little")
        + base
        + len(seed).to_bytes(8, "little")
        + seed.encode("ascii")
        + size_bytes.to_bytes(8, "little")
        + owner
    )
    return Instruction(SYSTEM, (Meta(account, writable=True), Meta(base, signs=True)), data)


def create_associated(payer: bytes, owner: bytes, mint: bytes) -> Instruction:
    """Make the associated account of `owner` unless it is there; fails when its authority is no
    longer `owner`.
    """
    accounts = (
        Meta(payer, signs=True, writable=True),
        Meta(associated(owner, mint), writable=True),
        Meta(owner),
        Meta(mint),
        Meta(SYSTEM),
        Meta(TOKEN),
    )
    return Instruction(ASSOCIATED_TOKEN, accounts, bytes([_CREATE_IDEMPOTENT]))


def transfer_tokens(
    source: bytes,
    mint: bytes,
    destination: bytes,
    authority: Sequence[Meta],
    units: int,
    decimals: int,
) -> Instruction:
    """TransferChecked. `authority` is the owner that signs, or a multisig and who signs for it."""
    accounts = (
        Meta(source, writable=True),
        Meta(mint),
        Meta(destination, writable=True),
        *authority,
    )
    data = bytes([_TRANSFER_CHECKED]) + units.to_bytes(8, "little") + bytes([decimals])
    return Instruction(TOKEN, accounts, data)


def sync_native(account: bytes) -> Instruction:
    """Count lamports that were sent to an account of wrapped SOL."""
    return Instruction(TOKEN, (Meta(account, writable=True),), bytes([_SYNC_NATIVE]))


def initialize_account(account: bytes, mint: bytes, owner: bytes) -> Instruction:
    """InitializeAccount3: a token account without the rent sysvar."""
    accounts = (Meta(account, writable=True), Meta(mint))
    return Instruction(TOKEN, accounts, bytes([_INITIALIZE_ACCOUNT_3]) + owner)


def initialize_multisig(account: bytes, threshold: int, signers: Sequence[bytes]) -> Instruction:
    """InitializeMultisig2, without the rent sysvar."""
    accounts = (Meta(account, writable=True), *(Meta(key) for key in signers))
    return Instruction(TOKEN, accounts, bytes([_INITIALIZE_MULTISIG_2, threshold]))


def close_account(account: bytes, recipient: bytes, authority: Sequence[Meta]) -> Instruction:
    """All lamports of a token account, wrapped ones included, to `recipient`."""
    accounts = (Meta(account, writable=True), Meta(recipient, writable=True), *authority)
    return Instruction(TOKEN, accounts, bytes([_CLOSE_ACCOUNT]))


def multisig_authority(multisig: bytes, signers: Sequence[bytes]) -> tuple[Meta, ...]:
    """A multisig as authority, with those of its keys that sign."""
    return (Meta(multisig), *(Meta(key, signs=True) for key in signers))


def amount_of(data: bytes) -> int:
    """Units of a TransferChecked."""
    return int.from_bytes(data[1:9], "little")


def is_token_transfer(data: bytes) -> bool:
    """Whether these are the bytes of a TransferChecked."""
    return len(data) == 10 and data[0] == _TRANSFER_CHECKED


def is_sol_transfer(data: bytes) -> bool:
    """Whether these are the bytes of a system transfer."""
    return len(data) == 12 and data[:4] == _TRANSFER_SOL.to_bytes(4, "little")


def lamports_of(data: bytes) -> int:
    """Lamports of a system transfer."""
    return int.from_bytes(data[4:12], "little")
