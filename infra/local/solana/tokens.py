"""The layout of SPL Token and Token-2022 accounts, as far as answers show it.

Source: crate spl-token-interface, state.rs; extensions of Token-2022 are not read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from solders.account import Account
from solders.pubkey import Pubkey

from infra.local.solana.model import TokenBalance

TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
TOKEN_PROGRAMS = (TOKEN, TOKEN_2022)
_MINT_BYTES = 82
ACCOUNT_BYTES = 165
_MULTISIG_BYTES = 355
_KIND_MINT, _KIND_ACCOUNT = 1, 2
_STATES = ("uninitialized", "initialized", "frozen")
# Mints of wrapped SOL, by token program.
NATIVE_MINTS = {
    TOKEN: Pubkey.from_string("So11111111111111111111111111111111111111112"),
    TOKEN_2022: Pubkey.from_string("9pan9bMn5HatX4EJdBwg9VgCa7Uz5HL8N1m5D3NdXej9"),
}


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """`reserve_lamports` is the rent share of a wrapped SOL account, else None."""

    mint: Pubkey
    owner: Pubkey
    units: int
    delegate: Pubkey | None
    delegated_units: int
    state: str
    reserve_lamports: int | None
    close_authority: Pubkey | None


@dataclass(frozen=True, slots=True)
class Mint:
    """`supply_units` of the smallest unit."""

    authority: Pubkey | None
    supply_units: int
    decimals: int
    freeze_authority: Pubkey | None


@dataclass(frozen=True, slots=True)
class Multisig:
    """`required` of `signers`."""

    required: int
    signers: tuple[Pubkey, ...]


def native_mint(program: Pubkey, lamports: int) -> Account:
    """The mint of wrapped SOL of `program`: nine decimals, no authority."""
    data = bytes(44) + bytes((9, 1)) + bytes(36)
    return Account(lamports, data, program)


def _option(data: bytes, at: int) -> Pubkey | None:
    return Pubkey(data[at + 4 : at + 36]) if data[at : at + 4] == b"\1\0\0\0" else None


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _has_kind(data: bytes, size: int, kind: int) -> bool:
    # An extended mint is padded to an account's size; the byte after says what it is.
    if len(data) == _MULTISIG_BYTES:
        return False
    return len(data) == size or (len(data) > ACCOUNT_BYTES and data[ACCOUNT_BYTES] == kind)


def token_account(account: Account | None) -> TokenAccount | None:
    """The token account in `account`; None when it is none or not initialized."""
    if account is None or account.owner not in TOKEN_PROGRAMS:
        return None
    data = bytes(account.data)
    if not _has_kind(data, ACCOUNT_BYTES, _KIND_ACCOUNT) or data[108] not in (1, 2):
        return None
    return TokenAccount(
        mint=Pubkey(data[:32]),
        owner=Pubkey(data[32:64]),
        units=_number(data, 64),
        delegate=_option(data, 72),
        state=_STATES[data[108]],
        reserve_lamports=_number(data, 113) if data[109:113] == b"\1\0\0\0" else None,
        delegated_units=_number(data, 121),
        close_authority=_option(data, 129),
    )


def mint(account: Account | None) -> Mint | None:
    """The mint in `account`; None when it is none or not initialized."""
    if account is None or account.owner not in TOKEN_PROGRAMS:
        return None
    data = bytes(account.data)
    if not _has_kind(data, _MINT_BYTES, _KIND_MINT) or data[45] != 1:
        return None
    return Mint(_option(data, 0), _number(data, 36), data[44], _option(data, 46))


def multisig(account: Account | None) -> Multisig | None:
    """The M of N account in `account`; None when it is none or not initialized."""
    if account is None or account.owner not in TOKEN_PROGRAMS:
        return None
    data = bytes(account.data)
    if len(data) != _MULTISIG_BYTES or data[2] != 1:
        return None
    signers = tuple(Pubkey(data[3 + 32 * n : 35 + 32 * n]) for n in range(data[1]))
    return Multisig(data[0], signers)


def token_balances(
    keys: Sequence[Pubkey],
    values: Mapping[Pubkey, Account | None],
    read: Callable[[Pubkey], Account | None],
) -> tuple[TokenBalance, ...]:
    """Holdings among `keys`; a mint that is not among them is read."""
    found = []
    for index, key in enumerate(keys):
        account = values[key]
        held = token_account(account)
        if account is None or held is None:
            continue
        of = mint(values[held.mint] if held.mint in values else read(held.mint))
        if of is not None:
            names = str(held.mint), str(held.owner), str(account.owner)
            found.append(TokenBalance(index, *names, held.units, of.decimals))
    return tuple(found)
