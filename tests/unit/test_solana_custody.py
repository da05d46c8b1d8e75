"""Solana's custody orders: one message an order, written as Solana's own libraries do."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

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
from solders.transaction import VersionedTransaction
from spl.token import instructions as spl
from spl.token.constants import TOKEN_PROGRAM_ID, WRAPPED_SOL_MINT
from spl.token.models import CloseAccountParams, InitializeAccount3Params, TransferCheckedParams

from orion.chains.errors import MalformedAddress, UnknownChain, UnknownNetwork
from orion.chains.solana.account import (
    PlaceOutOfRange,
    UnusableCustodyKeys,
    account,
    group_addresses,
    mints_of,
)
from orion.chains.solana.address import address_of
from orion.chains.solana.budget import Budget
from orion.chains.solana.custody import (
    assemble,
    check_signer,
    decode,
    describe,
    owner_addresses,
    signers,
    with_fee_payer,
)
from orion.chains.solana.order import Order, read_order, write_order
from orion.chains.solana.programs import TOKEN, WRAPPED_SOL
from orion.chains.spend import (
    CustodyKeys,
    CustodyPlace,
    Payment,
    SignatureRefused,
    Spend,
    SpendRefused,
    WalletKind,
    custody,
)
from tests.unit.solana_custody_orders import (
    ACCOUNT,
    CONTRACTS,
    CUSTODIANS,
    KEYS,
    MERCHANTS,
    MESSAGE,
    MINT,
    NATIVE,
    OWNER,
    PAYER,
    PLACE,
    PLAIN,
    SET,
    TARGET,
    THIEF,
    TO_PLAIN,
    TO_TARGET,
    TO_TOKEN,
    USDC,
    order,
)

UNITS = st.integers(1, 2**61)
RECIPIENTS = st.sampled_from(
    [str(key) for key in (*MERCHANTS[:3], PAYER.pubkey(), KEYS[20].pubkey())]
)
PAYMENTS = st.lists(
    st.one_of(
        st.builds(Payment, st.sampled_from([USDC, NATIVE]), RECIPIENTS, UNITS),
        st.builds(Payment, st.sampled_from([USDC, NATIVE]), st.just(TARGET.address), UNITS),
    ),
    min_size=1,
    max_size=3,
)
ORDERS = st.builds(
    Order,
    st.sampled_from([bytes(key.pubkey()) for key in (PAYER, KEYS[20], KEYS[21])]),
    st.sets(st.integers(1, 5), min_size=3, max_size=3).map(lambda found: tuple(sorted(found))),
    st.binary(min_size=32, max_size=32),
    st.builds(Budget, st.integers(1, 1_400_000), st.integers(0, 7_000_000)),
    PAYMENTS.map(tuple),
)


def _decode(unsigned: bytes) -> Spend:
    return decode(unsigned, ACCOUNT, CONTRACTS)


def _judged(order: Order) -> bytes:
    """The order's message as solders and solana-py write it."""
    payer = Pubkey(order.fee_payer)
    keys = [CUSTODIANS[number - 1].pubkey() for number in order.custodians]
    calls = [
        set_compute_unit_limit(order.budget.units),
        set_compute_unit_price(order.budget.price_micro_lamports),
    ]

    def move(mint: Pubkey, dest: Pubkey, units: int) -> TheirInstruction:
        return spl.transfer_checked(
            TransferCheckedParams(
                program_id=TOKEN_PROGRAM_ID,
                source=spl.get_associated_token_address(OWNER, mint),
                mint=mint,
                dest=dest,
                owner=OWNER,
                amount=units,
                decimals=9 if mint == WRAPPED_SOL_MINT else 6,
                signers=keys,
            )
        )

    plain = []
    for row in order.payments:
        recipient = Pubkey.from_string(row.recipient)
        if row.asset == NATIVE and row.recipient != TARGET.address:
            plain.append(
                transfer(TransferParams(from_pubkey=payer, to_pubkey=recipient, lamports=row.units))
            )
            continue
        mint = WRAPPED_SOL_MINT if row.asset == NATIVE else MINT
        dest = spl.get_associated_token_address(recipient, mint)
        calls.append(spl.create_idempotent_associated_token_account(payer, recipient, mint))
        calls.append(move(mint, dest, row.units))
    if plain:
        temporary = Pubkey.create_with_seed(payer, "orion/unwrap", TOKEN_PROGRAM_ID)
        total = sum(int.from_bytes(row.data[4:], "little") for row in plain)
        rent = TransferParams(from_pubkey=payer, to_pubkey=temporary, lamports=2_039_280)
        space = AllocateWithSeedParams(
            address=temporary, base=payer, seed="orion/unwrap", space=165, owner=TOKEN_PROGRAM_ID
        )
        made = InitializeAccount3Params(
            program_id=TOKEN_PROGRAM_ID, account=temporary, mint=WRAPPED_SOL_MINT, owner=OWNER
        )
        close = CloseAccountParams(
            program_id=TOKEN_PROGRAM_ID, account=temporary, dest=payer, owner=OWNER, signers=keys
        )
        calls += [transfer(rent), allocate_with_seed(space), spl.initialize_account3(made)]
        calls += [move(WRAPPED_SOL_MINT, temporary, total), spl.close_account(close), *plain]
    return bytes(TheirMessage.new_with_blockhash(calls, payer, Hash(order.blockhash)))


def _in_messageorder(payments: Sequence[Payment]) -> tuple[Payment, ...]:
    def is_plain(row: Payment) -> bool:
        return row.asset == NATIVE and row.recipient != TARGET.address

    return tuple(sorted(payments, key=is_plain))


@settings(max_examples=20)
@given(ORDERS)
def test_an_order_is_written_as_solanas_libraries_do_and_read_back(order: Order) -> None:
    unsigned = write_order(order, ACCOUNT, CONTRACTS)

    assert unsigned == _judged(order)
    assert read_order(unsigned, ACCOUNT, CONTRACTS) == replace(
        order, payments=_in_messageorder(order.payments)
    )


@settings(max_examples=50)
@given(st.integers(0, len(MESSAGE) - 1), st.integers(1, 255))
def test_an_altered_byte_is_refused_or_means_something_else(at: int, change: int) -> None:
    altered = MESSAGE[:at] + bytes([MESSAGE[at] ^ change]) + MESSAGE[at + 1 :]
    meant = read_order(MESSAGE, ACCOUNT, CONTRACTS)
    with suppress(SpendRefused):
        assert read_order(altered, ACCOUNT, CONTRACTS) != meant


@given(st.binary(max_size=300))
def test_no_bytes_end_in_anything_but_a_refusal(noise: bytes) -> None:
    with pytest.raises(SpendRefused):
        _decode(noise)


def test_custodians_are_named_in_one_order_only() -> None:
    shuffled = order(TO_TOKEN, TO_TARGET, TO_PLAIN, custodians=(4, 1, 3))

    assert write_order(shuffled, ACCOUNT, CONTRACTS) == MESSAGE


def test_a_spend_says_what_is_paid_and_what_each_custodian_signs() -> None:
    spend = _decode(MESSAGE)

    assert spend.payments == (TO_TOKEN, TO_TARGET, TO_PLAIN)
    assert (spend.operation, spend.curve, spend.claims) == ("pay", "ed25519", ())
    assert (spend.fee_max_units, spend.owners_after) == (0, ())
    assert spend.messages == (MESSAGE,)
    assert spend.version == hashlib.sha256(MESSAGE).hexdigest()
    assert signers(MESSAGE, ACCOUNT) == (1, 3, 4)


def test_a_custodian_that_is_not_named_does_not_sign() -> None:
    for number in (1, 3, 4):
        check_signer(MESSAGE, ACCOUNT, number)
    for number in (2, 5, 0, 6):
        with pytest.raises(SpendRefused, match="not_a_signer"):
            check_signer(MESSAGE, ACCOUNT, number)


def test_the_account_is_where_its_seed_says() -> None:
    seed = f"orion/{PLACE.group_no}/hot/1"
    found = Pubkey.create_with_seed(PAYER.pubkey(), seed, TOKEN_PROGRAM_ID)
    places = [
        replace(PLACE, group_no=8),
        replace(PLACE, set_no=2),
        replace(PLACE, kind=WalletKind.WARM),
    ]
    others = {account(place, SET, ACCOUNT.anchor).address for place in places}
    others.add(account(PLACE, SET, str(KEYS[30].pubkey())).address)

    assert ACCOUNT.address == str(found) == describe(ACCOUNT)["address"]
    assert len(others | {ACCOUNT.address}) == 5
    assert len(group_addresses(ACCOUNT.anchor, 7)) == 2_000
    longest = replace(PLACE, kind=WalletKind.WARM, group_no=10**10 - 1, set_no=1_000)
    assert describe(account(longest, SET, ACCOUNT.anchor))["seed"] == "orion/9999999999/warm/1000"


VAULT, _ = Pubkey.find_program_address([b"vault"], THIEF)


@pytest.mark.parametrize(
    "place,keys,anchor,error",
    [
        (replace(PLACE, chain="tron"), SET, ACCOUNT.anchor, UnknownChain),
        (replace(PLACE, network="mainnet"), SET, ACCOUNT.anchor, UnknownNetwork),
        (replace(PLACE, group_no=-1), SET, ACCOUNT.anchor, PlaceOutOfRange),
        (replace(PLACE, group_no=10**10), SET, ACCOUNT.anchor, PlaceOutOfRange),
        (replace(PLACE, set_no=0), SET, ACCOUNT.anchor, PlaceOutOfRange),
        (replace(PLACE, set_no=1_001), SET, ACCOUNT.anchor, PlaceOutOfRange),
        (PLACE, SET, "none", MalformedAddress),
        (PLACE, SET, str(VAULT), MalformedAddress),
        (PLACE, SET, str(CUSTODIANS[0].pubkey()), MalformedAddress),
        (PLACE, replace(SET, ed25519=SET.ed25519[:4]), ACCOUNT.anchor, UnusableCustodyKeys),
        (
            PLACE,
            replace(SET, ed25519=(*SET.ed25519[:4], SET.ed25519[0])),
            ACCOUNT.anchor,
            UnusableCustodyKeys,
        ),
        (
            PLACE,
            replace(SET, ed25519=(*SET.ed25519[:4], bytes(VAULT))),
            ACCOUNT.anchor,
            UnusableCustodyKeys,
        ),
        (
            PLACE,
            replace(SET, ed25519=(*SET.ed25519[:4], SET.ed25519[4][:31])),
            ACCOUNT.anchor,
            UnusableCustodyKeys,
        ),
    ],
)
def test_a_place_without_an_account_is_refused(
    place: CustodyPlace, keys: CustodyKeys, anchor: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        account(place, keys, anchor)


def test_contracts_of_other_chains_are_passed_over_and_a_mint_is_one_token() -> None:
    assert {mint: token.code for mint, token in mints_of(CONTRACTS).items()} == {
        WRAPPED_SOL: NATIVE,
        bytes(MINT): USDC,
    }
    for code, mint in ((USDC, WRAPPED_SOL), (NATIVE, bytes(MINT)), (USDC, TOKEN)):
        with pytest.raises(MalformedAddress, match="mint"):
            mints_of({code: address_of(mint)})


def _signatures(unsigned: bytes, *numbers: int) -> dict[int, tuple[bytes, ...]]:
    return {at: (bytes(CUSTODIANS[at - 1].sign_message(unsigned)),) for at in numbers}


def test_a_transaction_has_the_signatures_of_those_whom_its_message_names() -> None:
    half = assemble(MESSAGE, ACCOUNT, _signatures(MESSAGE, 1, 2, 3, 4))
    whole = with_fee_payer(half, bytes(PAYER.sign_message(MESSAGE)))
    read = VersionedTransaction.from_bytes(whole)

    assert half[:65] == b"\4" + bytes(64)
    assert half.endswith(MESSAGE)
    assert whole.endswith(MESSAGE)
    assert read.verify_with_results() == [True] * 4
    assert with_fee_payer(whole, bytes(PAYER.sign_message(MESSAGE))) == whole
    assert (
        bytes(VersionedTransaction(read.message, [PAYER, *(CUSTODIANS[at] for at in (0, 2, 3))]))
        == whole
    )


def test_signatures_that_are_missing_or_wrong_are_refused() -> None:
    good = _signatures(MESSAGE, 1, 3, 4)
    wrong: list[tuple[int, dict[int, tuple[bytes, ...]]]] = [
        (4, _signatures(MESSAGE, 1, 2, 3)),
        (1, {}),
        (3, {**good, 3: good[1]}),
        (3, {**good, 3: (good[3][0][:63],)}),
        (3, {**good, 3: ()}),
        (3, {**good, 3: good[3] * 2}),
        (4, {**good, **_signatures(PLAIN, 4)}),
        (2, {**good, 2: good[1]}),
        (6, {**good, 6: good[1]}),
        (0, {**good, 0: _signatures(MESSAGE, 5)[5]}),
    ]
    for number, signatures in wrong:
        with pytest.raises(SignatureRefused) as caught:
            assemble(MESSAGE, ACCOUNT, signatures)
        assert caught.value.fields["custodian"] == number
    with pytest.raises(SpendRefused, match="wrong_signers"):
        assemble(MESSAGE, replace(ACCOUNT, keys=replace(SET, ed25519=(b"x" * 32,) * 5)), good)


def test_a_fee_payers_slot_is_filled_once_and_by_the_fee_payer() -> None:
    half = assemble(MESSAGE, ACCOUNT, _signatures(MESSAGE, 1, 3, 4))
    own = bytes(PAYER.sign_message(MESSAGE))
    whole = with_fee_payer(half, own)
    refused = [
        (half, bytes(KEYS[20].sign_message(MESSAGE))),
        (half, bytes(PAYER.sign_message(PLAIN))),
        (half, bytes(64)),
        (half, own[:63]),
        (whole, bytes(KEYS[20].sign_message(MESSAGE))),
        (half[:65] + bytes(64) + half[129:], own),
        (half[:1] + bytes(KEYS[20].sign_message(MESSAGE)) + half[65:], own),
    ]
    for raw, signature in refused:
        with pytest.raises(SignatureRefused):
            with_fee_payer(raw, signature)
    with pytest.raises(SpendRefused, match="malformed"):
        with_fee_payer(half[:-1], own)


def test_the_description_says_what_the_account_follows_from() -> None:
    shown = json.loads(json.dumps(describe(ACCOUNT)))

    assert (shown["threshold"], shown["of"], shown["size_bytes"]) == (3, 5, 355)
    assert shown["keys"] == [str(key.pubkey()) for key in CUSTODIANS]
    base, seed = Pubkey.from_string(shown["base"]), shown["seed"]
    found = Pubkey.create_with_seed(base, seed, Pubkey.from_string(shown["program"]))
    assert shown["address"] == str(found)
    wrapped = spl.get_associated_token_address(found, WRAPPED_SOL_MINT)
    assert shown["holdings"] == {NATIVE: str(wrapped)}
    assert owner_addresses(SET) == tuple(sorted(shown["keys"]))


def test_the_chain_offers_its_custody_by_name() -> None:
    found = custody("solana")

    assert found.account(PLACE, SET, ACCOUNT.anchor) == ACCOUNT
    assert found.decode(PLAIN, ACCOUNT, CONTRACTS).payments == (TO_PLAIN,)
