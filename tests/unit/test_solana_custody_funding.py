"""Making multisigs and sweeping into them: formats and refusals."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction as TheirInstruction
from solders.message import Message as TheirMessage
from solders.pubkey import Pubkey
from solders.system_program import (
    AllocateWithSeedParams,
    TransferParams,
    allocate_with_seed,
    transfer,
)
from spl.token import instructions as spl
from spl.token.constants import TOKEN_PROGRAM_ID, WRAPPED_SOL_MINT
from spl.token.models import InitializeMultisig2Params, SyncNativeParams, TransferCheckedParams

from orion.chains.errors import UnknownNetwork
from orion.chains.solana.budget import Budget
from orion.chains.solana.creation import (
    Creation,
    MultisigMismatch,
    check_holding,
    check_multisig,
    decode_creation,
    holding_addresses,
    write_creation,
)
from orion.chains.solana.instructions import create_associated, sync_native, transfer_sol
from orion.chains.solana.message import Instruction, compile_message, parse_transaction
from orion.chains.solana.programs import (
    MULTISIG_RENT,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
    WRAPPED_SOL,
)
from orion.chains.solana.signatures import with_fee_payer
from orion.chains.solana.sweep import (
    Sweep,
    assemble_sweep,
    decode_sweep,
    read_sweep,
    slots,
    write_sweep,
)
from orion.chains.spend import Payment, SignatureRefused, SpendRefused
from tests.unit.solana_custody_orders import (
    ACCOUNT,
    BLOCKHASH,
    BUDGET,
    CONTRACTS,
    KEYS,
    MINT,
    NATIVE,
    OTHER_MINT,
    OWNER,
    PAYER,
    SET,
    THIEF,
    TOKENS,
    USDC,
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


def _judged(payer: bytes, budget: Budget, calls: list[TheirInstruction]) -> bytes:
    head = [
        set_compute_unit_limit(budget.units),
        set_compute_unit_price(budget.price_micro_lamports),
    ]
    return bytes(TheirMessage.new_with_blockhash([*head, *calls], Pubkey(payer), Hash(BLOCKHASH)))


def test_a_creation_is_written_as_solanas_libraries_do_and_read_back() -> None:
    payer = PAYER.pubkey()
    rent = TransferParams(from_pubkey=payer, to_pubkey=OWNER, lamports=MULTISIG_RENT)
    space = AllocateWithSeedParams(
        address=OWNER, base=payer, seed="orion/7/hot/1", space=355, owner=TOKEN_PROGRAM_ID
    )
    keys = [Pubkey(key) for key in SET.ed25519]
    many = InitializeMultisig2Params(program_id=TOKEN_PROGRAM_ID, multisig=OWNER, m=3, signers=keys)
    made = [
        spl.create_idempotent_associated_token_account(payer, OWNER, Pubkey(mint)) for mint in MINTS
    ]
    first = [transfer(rent), allocate_with_seed(space), spl.initialize_multisig2(many)]

    assert _judged(PAYER_KEY, BUDGET, [*first, *made]) == CREATED
    assert decode_creation(CREATED, ACCOUNT, CONTRACTS) == CREATION
    later = replace(CREATION, multisig=False, fee_payer=bytes(KEYS[20].pubkey()))
    unsigned = write_creation(later, ACCOUNT, CONTRACTS)
    assert decode_creation(unsigned, ACCOUNT, CONTRACTS) == later
    assert CREATION.fee_lamports() - later.fee_lamports() == MULTISIG_RENT


@pytest.mark.parametrize(
    "altered,reason",
    [
        ({"fee_payer": bytes(KEYS[20].pubkey())}, "wrong_base"),
        ({"multisig": False, "mints": ()}, "no_payment"),
        ({"multisig": False, "fee_payer": SET.ed25519[0]}, "fee_payer_has_authority"),
        ({"mints": (bytes(OTHER_MINT),)}, "unknown_mint"),
        ({"budget": Budget(0, 0)}, "compute_budget"),
    ],
)
def test_a_creation_that_would_be_refused_is_not_written(
    altered: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SpendRefused, match=reason):
        write_creation(replace(CREATION, **altered), ACCOUNT, CONTRACTS)


def test_what_others_sign_too_is_no_creation() -> None:
    for unsigned in (TOKENS, *SWEPT.values()):
        with pytest.raises(SpendRefused, match="wrong_signers"):
            decode_creation(unsigned, ACCOUNT, CONTRACTS)


@settings(max_examples=40)
@given(st.integers(0, len(CREATED) - 1), st.integers(1, 255))
def test_an_altered_creation_is_refused_or_means_something_else(at: int, change: int) -> None:
    altered = CREATED[:at] + bytes([CREATED[at] ^ change]) + CREATED[at + 1 :]
    try:
        found = decode_creation(altered, ACCOUNT, CONTRACTS)
    except SpendRefused:
        return
    # Nothing but the block hash and the budget may differ.
    assert found != CREATION
    assert replace(found, blockhash=BLOCKHASH, budget=BUDGET) == CREATION


def _stored(keys: tuple[bytes, ...] = SET.ed25519, head: bytes = b"\3\5\1") -> bytes:
    return (head + b"".join(keys)).ljust(355, b"\0")


@pytest.mark.parametrize(
    "program,data,reason",
    [
        (TOKEN_2022, _stored(), "program"),
        (SYSTEM, _stored(), "program"),
        (TOKEN, _stored()[:-1], "size"),
        (TOKEN, b"", "size"),
        (TOKEN, _stored(head=b"\2\5\1"), "threshold"),
        (TOKEN, _stored(head=b"\3\6\1"), "threshold"),
        (TOKEN, _stored(head=b"\3\5\0"), "threshold"),
        (TOKEN, _stored(SET.ed25519[::-1]), "keys"),
        (TOKEN, _stored((*SET.ed25519, bytes(THIEF))), "keys"),
        (TOKEN, _stored((*SET.ed25519[:4], bytes(THIEF))), "keys"),
    ],
)
def test_a_multisig_that_differs_from_its_description_is_refused(
    program: bytes, data: bytes, reason: str
) -> None:
    check_multisig(ACCOUNT, TOKEN, _stored())
    with pytest.raises(MultisigMismatch) as caught:
        check_multisig(ACCOUNT, program, data)
    assert caught.value.fields["reason"] == reason


def test_a_token_account_that_others_can_move_is_refused() -> None:
    plain = bytes(MINT) + bytes(OWNER) + (77).to_bytes(8, "little") + bytes(36) + b"\1"
    good = plain.ljust(165, b"\0")
    delegated = good[:72] + b"\1" + good[73:]
    wrong: list[tuple[bytes, bytes, str]] = [
        (TOKEN_2022, good, "program"),
        (TOKEN, good[:-1], "size"),
        (TOKEN, bytes(THIEF) + good[32:], "mint"),
        (TOKEN, good[:32] + bytes(THIEF) + good[64:], "owner"),
        (TOKEN, delegated, "state"),
        (TOKEN, good[:108] + b"\2" + good[109:], "state"),
        (TOKEN, good[:129] + b"\1" + good[130:], "state"),
    ]

    assert check_holding(ACCOUNT, bytes(MINT), TOKEN, good) == 77
    for program, data, reason in wrong:
        with pytest.raises(MultisigMismatch) as caught:
            check_holding(ACCOUNT, bytes(MINT), program, data)
        assert caught.value.fields["reason"] == reason
    assert holding_addresses(ACCOUNT, CONTRACTS) == {
        USDC: bytes(spl.get_associated_token_address(OWNER, MINT)),
        NATIVE: bytes(spl.get_associated_token_address(OWNER, WRAPPED_SOL_MINT)),
    }


def _judged_sweep(sweep: Sweep) -> bytes:
    payer, mint, to = Pubkey(sweep.fee_payer), Pubkey(sweep.mint), Pubkey(sweep.recipient)
    dest = spl.get_associated_token_address(to, mint)
    calls = [spl.create_idempotent_associated_token_account(payer, to, mint)]
    native = mint == WRAPPED_SOL_MINT
    for owner, units in zip(map(Pubkey, sweep.owners), sweep.units, strict=True):
        if native:
            calls.append(
                transfer(TransferParams(from_pubkey=owner, to_pubkey=dest, lamports=units))
            )
            continue
        move = TransferCheckedParams(
            program_id=TOKEN_PROGRAM_ID,
            source=spl.get_associated_token_address(owner, mint),
            mint=mint,
            dest=dest,
            owner=owner,
            amount=units,
            decimals=6,
        )
        calls.append(spl.transfer_checked(move))
    if native:
        calls.append(spl.sync_native(SyncNativeParams(program_id=TOKEN_PROGRAM_ID, account=dest)))
    return _judged(sweep.fee_payer, sweep.budget, calls)


@settings(max_examples=15)
@given(
    st.sampled_from(MINTS),
    st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=4),
    st.booleans(),
)
def test_a_sweep_is_written_as_solanas_libraries_do_and_read_back(
    mint: bytes, units: list[int], pays_itself: bool
) -> None:
    wallets = list(WALLETS)[: len(units)]
    payer = wallets[0] if pays_itself else PAYER_KEY
    owners = slots(wallets, payer)
    sweep = Sweep(payer, BLOCKHASH, BUDGET, mint, bytes(OWNER), owners, tuple(units))
    unsigned = write_sweep(sweep, "localnet", CONTRACTS)
    spend = decode_sweep(unsigned, owners, "localnet", CONTRACTS)
    code = NATIVE if mint == WRAPPED_SOL else USDC

    assert unsigned == _judged_sweep(sweep)
    assert read_sweep(unsigned, "localnet", CONTRACTS) == sweep
    assert spend.payments == tuple(Payment(code, ACCOUNT.address, amount) for amount in units)
    assert spend.fee_max_units == (sweep.fee_lamports if pays_itself else 0)
    assert spend.version == hashlib.sha256(unsigned).hexdigest()
    assert (spend.messages, spend.claims) == ((unsigned,), ())


@settings(max_examples=40)
@given(st.sampled_from(MINTS), st.integers(0, 500), st.integers(1, 255))
def test_an_altered_sweep_is_refused_or_means_something_else(
    mint: bytes, at: int, change: int
) -> None:
    unsigned = SWEPT[mint]
    at %= len(unsigned)
    altered = unsigned[:at] + bytes([unsigned[at] ^ change]) + unsigned[at + 1 :]
    try:
        found = read_sweep(altered, "localnet", CONTRACTS)
    except SpendRefused:
        return
    assert found != _sweep(mint)
    # Who is swept where cannot change by a byte: the associated account would not fit.
    assert (found.recipient, found.mint) == (bytes(OWNER), mint)


@pytest.mark.parametrize(
    "altered,reason",
    [
        ({"mint": bytes(OTHER_MINT)}, "unknown_mint"),
        ({"owners": (), "units": ()}, "no_payment"),
        ({"units": (1,)}, "no_payment"),
        ({"owners": OF_SOL.owners[::-1]}, "wrong_signers"),
        ({"owners": OF_SOL.owners[:1] * 2}, "wrong_signers"),
        ({"units": (1, 0)}, "wrong_amount"),
        ({"units": (1, 2**64)}, "wrong_amount"),
        ({"recipient": SYSTEM}, "recipient_reserved"),
        ({"recipient": bytes(MINT)}, "recipient_reserved"),
        ({"recipient": PAYER_KEY}, "recipient_reserved"),
        ({"recipient": OF_SOL.owners[0]}, "recipient_reserved"),
        ({"budget": Budget(1, 2**64)}, "compute_budget"),
    ],
)
def test_a_sweep_that_would_be_refused_is_not_written(altered: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpendRefused, match=reason):
        write_sweep(replace(OF_SOL, **altered), "localnet", CONTRACTS)


def _made(mint: bytes) -> Instruction:
    return create_associated(PAYER_KEY, bytes(OWNER), mint)


HELD = bytes(spl.get_associated_token_address(OWNER, WRAPPED_SOL_MINT))
MOVES = [transfer_sol(owner, HELD, 5) for owner in OF_SOL.owners]


@pytest.mark.parametrize(
    "calls,reason",
    [
        ([], "unknown_instruction"),
        ([*MOVES, sync_native(HELD)], "unknown_instruction"),
        ([_made(bytes(OTHER_MINT)), *MOVES], "unknown_mint"),
        ([_made(WRAPPED_SOL)], "unknown_instruction"),
        ([_made(WRAPPED_SOL), *MOVES], "unknown_instruction"),
        ([_made(WRAPPED_SOL), sync_native(HELD)], "no_payment"),
        ([_made(bytes(MINT)), *MOVES], "unknown_instruction"),
        ([_made(WRAPPED_SOL), *MOVES, sync_native(bytes(THIEF))], "not_canonical"),
        (
            [
                _made(WRAPPED_SOL),
                *MOVES,
                transfer_sol(MOVES[0].accounts[0].key, HELD, 5),
                sync_native(HELD),
            ],
            "wrong_signers",
        ),
        (
            [
                _made(WRAPPED_SOL),
                transfer_sol(OF_SOL.owners[0], bytes(THIEF), 5),
                MOVES[1],
                sync_native(HELD),
            ],
            "not_canonical",
        ),
    ],
)
def test_what_is_not_a_sweep_is_refused(calls: list[Instruction], reason: str) -> None:
    unsigned = compile_message(PAYER_KEY, [*BUDGET.instructions(), *calls], BLOCKHASH)
    with pytest.raises(SpendRefused) as caught:
        decode_sweep(unsigned, OF_SOL.owners, "localnet", CONTRACTS)
    assert caught.value.fields["reason"] == reason


def test_a_sweep_of_other_wallets_or_networks_is_refused() -> None:
    unsigned = SWEPT[WRAPPED_SOL]
    for owners in (OF_SOL.owners[::-1], OF_SOL.owners[:1], ()):
        with pytest.raises(SpendRefused, match="wrong_signers"):
            decode_sweep(unsigned, owners, "localnet", CONTRACTS)
        with pytest.raises(SpendRefused, match="wrong_signers"):
            assemble_sweep(unsigned, owners, "localnet", ())
    with pytest.raises(UnknownNetwork):
        decode_sweep(unsigned, OF_SOL.owners, "mainnet", CONTRACTS)
    with pytest.raises(UnknownNetwork):
        assemble_sweep(unsigned, OF_SOL.owners, "mainnet", ())


def test_a_swept_transaction_has_a_signature_of_each_wallet() -> None:
    for payer in (PAYER_KEY, next(iter(WALLETS))):
        sweep = _sweep(bytes(MINT), payer)
        unsigned = write_sweep(sweep, "localnet", CONTRACTS)
        good = tuple(bytes(WALLETS[owner].sign_message(unsigned)) for owner in sweep.owners)
        raw = assemble_sweep(unsigned, sweep.owners, "localnet", good)
        empty = () if payer in WALLETS else (bytes(64),)
        assert parse_transaction(raw)[0] == (*empty, *good)
        whole = (
            raw if payer in WALLETS else with_fee_payer(raw, bytes(PAYER.sign_message(unsigned)))
        )
        assert with_fee_payer(whole, parse_transaction(whole)[0][0]) == whole
        for wrong in (good[::-1], good[:1], (*good, good[0]), (good[0], bytes(64))):
            with pytest.raises(SignatureRefused):
                assemble_sweep(unsigned, sweep.owners, "localnet", wrong)
