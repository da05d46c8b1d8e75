"""Making a multisig and its token accounts at first use, and comparing it with the chain.

Only the fee payer signs: it pays rent and has no say afterwards. The lamports come by a transfer
and the space by AllocateWithSeed, not by CreateAccountWithSeed, which fails for ever once a
stranger has sent lamports to the address.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from orion.chains.solana.account import holding, mints_of, seed_of
from orion.chains.solana.address import parse_address
from orion.chains.solana.budget import Budget, read_budget
from orion.chains.solana.instructions import (
    allocate_with_seed,
    create_associated,
    initialize_multisig,
    transfer_sol,
)
from orion.chains.solana.message import Instruction, compile_message, parse_message
from orion.chains.solana.programs import (
    ASSOCIATED_TOKEN,
    MULTISIG_BYTES,
    MULTISIG_RENT,
    SYSTEM,
    TOKEN,
    TOKEN_ACCOUNT_BYTES,
    TOKEN_ACCOUNT_RENT,
)
from orion.chains.spend import CUSTODIANS, THRESHOLD, CustodyAccount, SpendRefused
from orion.errors import OrionError

_MULTISIG_STEPS = (SYSTEM, SYSTEM, TOKEN)
_KEY_BYTES = 32


class MultisigMismatch(OrionError):
    """The chain holds something else than the description says. The field `reason` is `program`,
    `size`, `threshold`, `keys`, or of a token account `mint`, `owner`, `state`. Pay nothing there.
    """

    code = "multisig_mismatch"


@dataclass(frozen=True, slots=True)
class Creation:
    """`mints` (bytes, ascending) whose associated accounts are made; with `multisig` the account
    itself before them, once: a second message that makes it fails.
    """

    fee_payer: bytes
    blockhash: bytes
    budget: Budget
    multisig: bool
    mints: tuple[bytes, ...]

    def fee_lamports(self) -> int:
        """The most that the fee payer can lose: the fee and all rents."""
        rents = self.multisig * MULTISIG_RENT + len(self.mints) * TOKEN_ACCOUNT_RENT
        return self.budget.fee_lamports(1) + rents


def write_creation(
    creation: Creation, account: CustodyAccount, contracts: Mapping[str, str]
) -> bytes:
    """The message. Raises SpendRefused."""
    if creation.multisig and creation.fee_payer != parse_address(account.anchor):
        raise SpendRefused("only the anchor makes this account", reason="wrong_base")
    if not creation.multisig and not creation.mints:
        raise SpendRefused("nothing is made", reason="no_payment")
    if creation.fee_payer in account.keys.ed25519:
        raise SpendRefused("the fee payer is part of it", reason="fee_payer_has_authority")
    if not set(creation.mints) <= mints_of(contracts).keys():
        raise SpendRefused("no such mint", reason="unknown_mint")
    owner = parse_address(account.address)
    calls: list[Instruction] = [*creation.budget.instructions()]
    if creation.multisig:
        calls += _make_multisig(creation.fee_payer, owner, account)
    calls += [
        create_associated(creation.fee_payer, owner, mint) for mint in sorted(set(creation.mints))
    ]
    return compile_message(creation.fee_payer, calls, creation.blockhash)


def decode_creation(
    unsigned: bytes, account: CustodyAccount, contracts: Mapping[str, str]
) -> Creation:
    """Read a message that makes `account` or token accounts of it, and does nothing else.

    Raises SpendRefused.
    """
    message = parse_message(unsigned)
    if message.signers != 1:
        raise SpendRefused("only the fee payer signs", reason="wrong_signers")
    budget, calls = read_budget(message.calls)
    multisig = tuple(call.program for call in calls[:3]) == _MULTISIG_STEPS
    rest = calls[3:] if multisig else calls
    for call in rest:
        if call.program != ASSOCIATED_TOKEN or len(call.accounts) != 6:
            raise SpendRefused("makes something else", reason="unknown_instruction")
    creation = Creation(
        fee_payer=message.keys[0],
        blockhash=message.blockhash,
        budget=budget,
        multisig=multisig,
        mints=tuple(call.accounts[3] for call in rest),
    )
    if write_creation(creation, account, contracts) != unsigned:
        raise SpendRefused("other bytes than this is written with", reason="not_canonical")
    return creation


def _make_multisig(payer: bytes, owner: bytes, account: CustodyAccount) -> list[Instruction]:
    place = account.place
    seed = seed_of(place.group_no, place.kind, place.set_no)
    return [
        transfer_sol(payer, owner, MULTISIG_RENT),
        allocate_with_seed(owner, payer, seed, MULTISIG_BYTES, TOKEN),
        initialize_multisig(owner, THRESHOLD, account.keys.ed25519),
    ]


def check_multisig(account: CustodyAccount, program: bytes, data: bytes) -> None:
    """Compare what the chain holds at the account's address: owning program and data (SPL Token
    `state.rs`, Multisig: m, n, initialized, eleven keys). Raises MultisigMismatch.

    The address does not follow from the keys, so nobody is told to pay to it before this.
    """
    if program != TOKEN:
        raise MultisigMismatch("not an account of the token program", reason="program")
    if len(data) != MULTISIG_BYTES:
        raise MultisigMismatch("not of a multisig's size", reason="size")
    if data[:3] != bytes([THRESHOLD, CUSTODIANS, 1]):
        raise MultisigMismatch("not an initialized 3 of 5", reason="threshold")
    if data[3:] != b"".join(account.keys.ed25519).ljust(MULTISIG_BYTES - 3, b"\0"):
        raise MultisigMismatch("other keys than the custody set's", reason="keys")


def check_holding(account: CustodyAccount, mint: bytes, program: bytes, data: bytes) -> int:
    """Compare what the chain holds at the account's associated account for `mint`, and answer its
    units (SPL Token `state.rs`, Account). Raises MultisigMismatch.

    A delegate, a freeze or a close authority is refused: custody never grants one.
    """
    if program != TOKEN:
        raise MultisigMismatch("not an account of the token program", reason="program")
    if len(data) != TOKEN_ACCOUNT_BYTES:
        raise MultisigMismatch("not of a token account's size", reason="size")
    if data[:_KEY_BYTES] != mint:
        raise MultisigMismatch("of another mint", reason="mint")
    if data[_KEY_BYTES : 2 * _KEY_BYTES] != parse_address(account.address):
        raise MultisigMismatch("of another owner", reason="owner")
    delegate, state, close_authority = data[72:76], data[108], data[129:133]
    if any(delegate) or state != 1 or any(close_authority):
        raise MultisigMismatch("not an unencumbered account", reason="state")
    return int.from_bytes(data[64:72], "little")


def holding_addresses(account: CustodyAccount, contracts: Mapping[str, str]) -> dict[str, bytes]:
    """The associated accounts of `account` by asset code; under SOL the one of wrapped SOL."""
    owner = parse_address(account.address)
    return {token.code: holding(owner, mint) for mint, token in mints_of(contracts).items()}
