"""What a fee payer signs, and what it can lose by it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from solders.pubkey import Pubkey
from spl.token import instructions as spl
from spl.token.constants import WRAPPED_SOL_MINT

from orion.chains.solana.budget import Budget
from orion.chains.solana.creation import (
    Creation,
    write_creation,
)
from orion.chains.solana.fee_payer import FeeKind, decode_fee
from orion.chains.solana.instructions import create_associated, transfer_sol
from orion.chains.solana.message import Instruction, compile_message
from orion.chains.solana.order import write_order
from orion.chains.solana.programs import (
    MULTISIG_RENT,
    TOKEN_ACCOUNT_RENT,
    WRAPPED_SOL,
)
from orion.chains.solana.sweep import (
    Sweep,
    slots,
    write_sweep,
)
from orion.chains.spend import SpendRefused
from tests.unit.solana_custody_orders import (
    ACCOUNT,
    BLOCKHASH,
    BUDGET,
    CONTRACTS,
    KEYS,
    MESSAGE,
    MINT,
    OWNER,
    PAYER,
    PLAIN,
    TARGET,
    THIEF,
    TO_PLAIN,
    TOKENS,
    order,
)

PAYER_KEY = bytes(PAYER.pubkey())
WALLETS = {bytes(key.pubkey()): key for key in KEYS[25:30]}
MINTS = tuple(sorted((bytes(MINT), WRAPPED_SOL)))
CREATION = Creation(PAYER_KEY, BLOCKHASH, BUDGET, multisig=True, mints=MINTS)
CREATED = write_creation(CREATION, ACCOUNT, CONTRACTS)


def _sweep(mint: bytes, payer: bytes = PAYER_KEY, count: int = 2) -> Sweep:
    owners = slots(list(WALLETS)[:count], payer)
    units = tuple(range(1_000, 1_000 + count))
    return Sweep(payer, BLOCKHASH, BUDGET, mint, bytes(OWNER), owners, units)


OF_SOL, OF_TOKENS = _sweep(WRAPPED_SOL), _sweep(bytes(MINT))
SWEPT = {mint: write_sweep(_sweep(mint), "localnet", CONTRACTS) for mint in MINTS}


def _made(mint: bytes) -> Instruction:
    return create_associated(PAYER_KEY, bytes(OWNER), mint)


HELD = bytes(spl.get_associated_token_address(OWNER, WRAPPED_SOL_MINT))


def _fee(unsigned: bytes, payer: bytes = PAYER_KEY) -> tuple[FeeKind, str, int]:
    found = decode_fee(unsigned, str(Pubkey(payer)), [TARGET, ACCOUNT], CONTRACTS)
    assert (found.message, found.body_digest) == (unsigned, hashlib.sha256(unsigned).hexdigest())
    return found.kind, found.address, found.fee_max_units


def test_a_fee_payer_knows_what_it_can_lose() -> None:
    # 200,000 units at 7 micro-lamports: 1.4, so 2 lamports.
    four, three, rent = 4 * 5_000 + 2, 3 * 5_000 + 2, TOKEN_ACCOUNT_RENT
    own = ACCOUNT.address
    assert _fee(PLAIN) == (FeeKind.PAYMENT, own, four)
    assert _fee(TOKENS) == (FeeKind.PAYMENT, own, four + rent)
    assert _fee(MESSAGE) == (FeeKind.PAYMENT, own, four + 2 * rent)
    assert _fee(CREATED) == (FeeKind.CREATION, own, 5_002 + MULTISIG_RENT + 2 * rent)
    assert [_fee(raw) for raw in SWEPT.values()] == [(FeeKind.SWEEP, own, three + rent)] * 2
    dear = replace(order(TO_PLAIN), budget=Budget(1_400_000, 7_000_000))
    assert _fee(write_order(dear, ACCOUNT, CONTRACTS))[2] == 20_000 + 9_800_000


def _message(*calls: Instruction) -> bytes:
    return compile_message(PAYER_KEY, [*BUDGET.instructions(), *calls], BLOCKHASH)


@pytest.mark.parametrize(
    "reason,unsigned",
    [
        (
            "wrong_fee_payer",
            lambda: write_sweep(_sweep(MINTS[0], b"\7" * 32), "localnet", CONTRACTS),
        ),
        ("unknown_account", lambda: _message(transfer_sol(PAYER_KEY, bytes(THIEF), 5))),
        ("unknown_account", lambda: _message(transfer_sol(bytes(THIEF), bytes(OWNER), 5))),
        ("unknown_instruction", lambda: _message(transfer_sol(PAYER_KEY, bytes(OWNER), 5))),
        ("unknown_account", lambda: _message(create_associated(PAYER_KEY, bytes(THIEF), MINTS[0]))),
        (
            "not_canonical",
            lambda: _message(_made(MINTS[0]), create_associated(PAYER_KEY, bytes(THIEF), MINTS[1])),
        ),
        (
            "unknown_instruction",
            lambda: _message(_made(MINTS[0]), transfer_sol(PAYER_KEY, HELD, 5)),
        ),
        (
            "fee_payer_has_authority",
            lambda: write_sweep(
                replace(OF_SOL, owners=(PAYER_KEY, *OF_SOL.owners[:1])), "localnet", CONTRACTS
            ),
        ),
        (
            "unknown_account",
            lambda: write_sweep(replace(OF_SOL, recipient=bytes(THIEF)), "localnet", CONTRACTS),
        ),
    ],
)
def test_a_fee_payer_pays_for_nothing_else(reason: str, unsigned: Callable[[], bytes]) -> None:
    with pytest.raises(SpendRefused) as caught:
        _fee(unsigned())
    assert caught.value.fields["reason"] == reason


def test_a_fee_payer_pays_for_known_accounts_only() -> None:
    for raw in (PLAIN, TOKENS, CREATED, *SWEPT.values()):
        for known in ([], [TARGET]):
            with pytest.raises(SpendRefused, match="unknown_account"):
                decode_fee(raw, str(PAYER.pubkey()), known, CONTRACTS)
