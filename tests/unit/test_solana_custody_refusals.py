"""What custodians do not sign on Solana, and by which word it is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from solders.pubkey import Pubkey
from spl.memo.constants import MEMO_PROGRAM_ID
from spl.token import instructions as spl
from spl.token.constants import WRAPPED_SOL_MINT

from orion.chains.solana.account import account
from orion.chains.solana.custody import (
    decode,
)
from orion.chains.solana.message import Instruction, Meta, compile_message, parse_message
from orion.chains.solana.order import write_order
from orion.chains.solana.programs import SYSTEM, TOKEN
from orion.chains.spend import (
    Spend,
    SpendRefused,
)
from tests.unit.solana_custody_orders import (
    ACCOUNT,
    BLOCKHASH,
    CONTRACTS,
    MERCHANTS,
    MINT,
    OTHER_MINT,
    OWNER,
    PAYER,
    PLACE,
    PLAIN,
    SET,
    TARGET,
    THIEF,
    TO_PLAIN,
    TO_TOKEN,
    TOKENS,
    order,
)


def _decode(unsigned: bytes) -> Spend:
    return decode(unsigned, ACCOUNT, CONTRACTS)


Calls = list[Instruction]


def _calls(unsigned: bytes) -> Calls:
    """The message's instructions with what its header lets each account do."""
    read = parse_message(unsigned)
    _, readonly_signers, readonly_others = unsigned[:3]

    def meta(key: bytes) -> Meta:
        at = read.keys.index(key)
        signs = at < read.signers
        end = read.signers - readonly_signers if signs else len(read.keys) - readonly_others
        return Meta(key, signs, at < end)

    return [
        Instruction(row.program, tuple(map(meta, row.accounts)), row.data) for row in read.calls
    ]


def _with(calls: Calls, at: int, account_at: int, key: bytes | Pubkey) -> Calls:
    """Another key for one account of one instruction."""
    metas = list(calls[at].accounts)
    metas[account_at] = replace(metas[account_at], key=bytes(key))
    return [*calls[:at], replace(calls[at], accounts=tuple(metas)), *calls[at + 1 :]]


def _data(calls: Calls, at: int, data: bytes) -> Calls:
    return [*calls[:at], replace(calls[at], data=data), *calls[at + 1 :]]


def _everywhere(calls: Calls, old: bytes | Pubkey, new: bytes | Pubkey) -> Calls:
    """Another key wherever `old` stands, in the data as well."""
    return [
        Instruction(
            row.program,
            tuple(
                replace(meta, key=bytes(new)) if meta.key == bytes(old) else meta
                for meta in row.accounts
            ),
            row.data.replace(bytes(old), bytes(new)),
        )
        for row in calls
    ]


def _ata(owner: Pubkey, mint: Pubkey = MINT) -> Pubkey:
    return spl.get_associated_token_address(owner, mint)


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _paid_to(calls: Calls, recipient: Pubkey, mint: Pubkey = MINT) -> Calls:
    """The token payment of TOKENS to somebody else, in everything that names him."""
    calls = _with(_with(calls, 2, 2, recipient), 2, 1, _ata(recipient, mint))
    return _with(calls, 3, 2, _ata(recipient, mint))


def _of_mint(calls: Calls, mint: Pubkey, decimals: int) -> Calls:
    calls = _with(_with(calls, 2, 3, mint), 3, 1, mint)
    calls = _data(calls, 3, calls[3].data[:-1] + bytes([decimals]))
    return _paid_to(_with(calls, 3, 0, _ata(OWNER, mint)), MERCHANTS[0], mint)


def _writable(calls: Calls) -> Calls:
    """The mint may be written, although nothing writes it."""
    metas = tuple(replace(meta, writable=True) for meta in calls[3].accounts[:2])
    return [*calls[:3], replace(calls[3], accounts=(*metas, *calls[3].accounts[2:]))]


def _amounts(calls: Calls, units: int) -> Calls:
    calls = _data(calls, 5, b"\x0c" + _u64(units) + b"\x09")
    return _data(calls, 7, b"\2\0\0\0" + _u64(units))


def _closed_to_thief(calls: Calls) -> Calls:
    account, _, *authority = calls[6].accounts
    metas = (account, Meta(bytes(THIEF), writable=True), *authority)
    return [*calls[:6], replace(calls[6], accounts=metas), *calls[7:]]


def _limit(units: int) -> bytes:
    return b"\2" + units.to_bytes(4, "little")


STRANGER = Meta(bytes(THIEF), signs=True)
MEMO = Instruction(bytes(MEMO_PROGRAM_ID), (), b"hello")
VAULT, _ = Pubkey.find_program_address([b"vault"], THIEF)
SISTER = Pubkey.from_string(TARGET.address)

REFUSED: dict[str, tuple[str, bytes, Callable[[Calls], Calls]]] = {
    "no price": ("compute_budget", TOKENS, lambda c: [c[0], *c[2:]]),
    "price first": ("compute_budget", TOKENS, lambda c: [c[1], c[0], *c[2:]]),
    "limit 0": ("compute_budget", TOKENS, lambda c: _data(c, 0, _limit(0))),
    "limit high": ("compute_budget", TOKENS, lambda c: _data(c, 0, _limit(1_400_001))),
    "price high": ("compute_budget", TOKENS, lambda c: _data(c, 1, b"\3" + _u64(50_000_001))),
    "heap frame": ("compute_budget", TOKENS, lambda c: _data(c, 0, b"\1" + c[0].data[1:])),
    "account beside the limit": (
        "compute_budget",
        TOKENS,
        lambda c: [replace(c[0], accounts=(Meta(bytes(MINT)),)), *c[1:]],
    ),
    "memo": ("unknown_instruction", TOKENS, lambda c: [*c, MEMO]),
    "only made": ("wrong_signers", TOKENS, lambda c: c[:3]),
    "made, then memo": ("unknown_instruction", TOKENS, lambda c: [*c[:3], MEMO, *c[3:]]),
    "unchecked transfer": (
        "unknown_instruction",
        TOKENS,
        lambda c: _data(c, 3, b"\3" + c[3].data[1:9]),
    ),
    "approve": ("unknown_instruction", TOKENS, lambda c: _data(c, 3, b"\x0d" + c[3].data[1:])),
    "burn": ("unknown_instruction", TOKENS, lambda c: _data(c, 3, b"\x0f" + c[3].data[1:])),
    "set authority": ("unknown_instruction", TOKENS, lambda c: _data(c, 3, b"\6\2\0")),
    "create, not idempotent": ("not_canonical", TOKENS, lambda c: _data(c, 2, b"\0")),
    "recover nested": ("not_canonical", TOKENS, lambda c: _data(c, 2, b"\2")),
    "another mint": ("unknown_mint", TOKENS, lambda c: _of_mint(c, OTHER_MINT, 6)),
    "two mints": ("unknown_mint", TOKENS, lambda c: _with(c, 3, 1, OTHER_MINT)),
    "decimals": ("wrong_decimals", TOKENS, lambda c: _data(c, 3, c[3].data[:-1] + b"\x09")),
    "another source": ("wrong_source", TOKENS, lambda c: _with(c, 3, 0, _ata(THIEF))),
    "another authority": ("wrong_authority", TOKENS, lambda c: _with(c, 3, 3, THIEF)),
    "another order": (
        "wrong_authority",
        TOKENS,
        lambda c: [*c[:3], replace(c[3], accounts=(*c[3].accounts[:4], *c[3].accounts[:3:-1]))],
    ),
    "two sign": (
        "wrong_signers",
        TOKENS,
        lambda c: [*c[:3], replace(c[3], accounts=c[3].accounts[:-1])],
    ),
    "one signs twice": (
        "wrong_signers",
        TOKENS,
        lambda c: _with(c, 3, 6, SET.ed25519[0]),
    ),
    "four sign": (
        "wrong_signers",
        TOKENS,
        lambda c: [*c[:3], replace(c[3], accounts=(*c[3].accounts, STRANGER))],
    ),
    "a stranger signs": ("wrong_signers", TOKENS, lambda c: _with(c, 3, 6, THIEF)),
    "another destination": ("wrong_destination", TOKENS, lambda c: _with(c, 3, 2, _ata(THIEF))),
    "another made": ("wrong_destination", TOKENS, lambda c: _with(c, 2, 1, _ata(THIEF))),
    "another owner": ("wrong_destination", TOKENS, lambda c: _with(c, 2, 2, THIEF)),
    "no tokens": ("wrong_amount", TOKENS, lambda c: _data(c, 3, b"\x0c" + _u64(0) + b"\6")),
    "wrapped": ("wrapped_recipient", TOKENS, lambda c: _of_mint(c, WRAPPED_SOL_MINT, 9)),
    "vault": ("recipient_off_curve", TOKENS, lambda c: _paid_to(c, VAULT)),
    "token account": ("recipient_off_curve", TOKENS, lambda c: _paid_to(c, _ata(MERCHANTS[2]))),
    "itself": ("recipient_reserved", TOKENS, lambda c: _paid_to(c, OWNER)),
    "a mint": ("recipient_reserved", TOKENS, lambda c: _paid_to(c, MINT)),
    "system program": ("recipient_reserved", TOKENS, lambda c: _paid_to(c, Pubkey(SYSTEM))),
    "token program": ("recipient_reserved", PLAIN, lambda c: _with(c, 7, 1, TOKEN)),
    "temporary": (
        "recipient_reserved",
        PLAIN,
        lambda c: _with(c, 7, 1, c[2].accounts[1].key),
    ),
    "lamports to a vault": ("recipient_off_curve", PLAIN, lambda c: _with(c, 7, 1, VAULT)),
    "lamports to itself": ("recipient_reserved", PLAIN, lambda c: _with(c, 7, 1, OWNER)),
    "lamports to custody": ("plain_to_custody", PLAIN, lambda c: _with(c, 7, 1, SISTER)),
    "lamports of another": ("wrong_signers", PLAIN, lambda c: _with(c, 7, 0, THIEF)),
    "lamports of custodian": (
        "unknown_instruction",
        PLAIN,
        lambda c: _with(c, 7, 0, SET.ed25519[0]),
    ),
    "lamports of none": ("wrong_amount", PLAIN, lambda c: _amounts(c, 0)),
    "unwraps more": (
        "wrong_amount",
        PLAIN,
        lambda c: _data(c, 5, b"\x0c" + _u64(2_000_001) + b"\x09"),
    ),
    "pays more": ("wrong_amount", PLAIN, lambda c: _data(c, 7, b"\2\0\0\0" + _u64(2_000_001))),
    "pays none": ("unknown_instruction", PLAIN, lambda c: c[:7]),
    "rent to a thief": ("not_canonical", PLAIN, _closed_to_thief),
    "closes holding": (
        "not_canonical",
        PLAIN,
        lambda c: _with(c, 6, 0, _ata(OWNER, WRAPPED_SOL_MINT)),
    ),
    "temporary of a thief": (
        "not_canonical",
        PLAIN,
        lambda c: _data(c, 4, c[4].data[:1] + bytes(THIEF)),
    ),
    "temporary elsewhere": (
        "not_canonical",
        PLAIN,
        lambda c: _everywhere(c, c[2].accounts[1].key, THIEF),
    ),
    "another seed": (
        "not_canonical",
        PLAIN,
        lambda c: _data(c, 3, c[3].data.replace(b"unwrap", b"wrapup")),
    ),
    "another size": (
        "not_canonical",
        PLAIN,
        lambda c: _data(c, 3, c[3].data.replace(_u64(165), _u64(166))),
    ),
    "more rent": ("not_canonical", PLAIN, lambda c: _data(c, 2, b"\2\0\0\0" + _u64(2_039_281))),
    "unwraps of another": ("not_canonical", PLAIN, lambda c: _with(c, 5, 0, _ata(THIEF))),
    "never closed": ("unknown_instruction", PLAIN, lambda c: [*c[:6], *c[7:]]),
    "a mint that may be written": ("not_canonical", TOKENS, _writable),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_a_payment_is_refused_by_name(case: str) -> None:
    reason, message, change = REFUSED[case]
    calls = _calls(message)
    assert compile_message(bytes(PAYER.pubkey()), calls, BLOCKHASH) == message
    altered = compile_message(bytes(PAYER.pubkey()), change(calls), BLOCKHASH)

    with pytest.raises(SpendRefused) as caught:
        _decode(altered)
    assert caught.value.fields["reason"] == reason


def test_accounts_that_nothing_names_are_refused() -> None:
    head, keys, rest = TOKENS[:3], TOKENS[3], TOKENS[4:]
    last = 32 * keys
    padded = bytes([head[0], head[1], head[2] + 1, keys + 1]) + rest[:last]
    with pytest.raises(SpendRefused, match="not_canonical"):
        _decode(padded + bytes([255]) * 32 + rest[last:])


@pytest.mark.parametrize(
    "altered,reason",
    [
        ({"payments": ()}, "no_payment"),
        ({"custodians": (1, 2)}, "wrong_signers"),
        ({"custodians": (1, 2, 2)}, "wrong_signers"),
        ({"custodians": (1, 2, 6)}, "wrong_signers"),
        ({"custodians": (1, 2, 3, 4)}, "wrong_signers"),
        ({"fee_payer": SET.ed25519[4]}, "fee_payer_has_authority"),
        ({"fee_payer": bytes(OWNER)}, "fee_payer_has_authority"),
        ({"payments": (replace(TO_TOKEN, asset="USDT.solana"),)}, "unknown_mint"),
        ({"payments": (replace(TO_TOKEN, units=0),)}, "wrong_amount"),
        ({"payments": (replace(TO_TOKEN, units=2**64),)}, "wrong_amount"),
        ({"payments": (replace(TO_PLAIN, units=2**63),) * 2}, "wrong_amount"),
        ({"payments": (replace(TO_PLAIN, recipient=str(VAULT)),)}, "recipient_off_curve"),
        ({"payments": (replace(TO_PLAIN, recipient=ACCOUNT.address),)}, "recipient_reserved"),
        ({"payments": (TO_PLAIN,) * 40}, "too_large"),
    ],
)
def test_what_would_be_refused_is_not_written(altered: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpendRefused) as caught:
        write_order(replace(order(TO_TOKEN), **altered), ACCOUNT, CONTRACTS)
    assert caught.value.fields["reason"] == reason


def test_a_fee_payer_that_is_a_custodian_is_refused() -> None:
    unsigned = compile_message(SET.ed25519[4], _calls(TOKENS), BLOCKHASH)
    with pytest.raises(SpendRefused, match="fee_payer_has_authority"):
        _decode(unsigned)


def test_another_accounts_message_is_refused() -> None:
    with pytest.raises(SpendRefused, match="wrong_source"):
        decode(TOKENS, TARGET, CONTRACTS)
    other = account(replace(PLACE, group_no=8), SET, ACCOUNT.anchor)
    with pytest.raises(SpendRefused, match="not_canonical"):
        decode(PLAIN, other, CONTRACTS)
