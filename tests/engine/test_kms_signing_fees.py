"""Executor and fee payer with real KMS keys and a real database: one body a nonce, a capped float,
and processes that die half-way.
"""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from orion.adapters.mysql.kms_signing import MySqlFloatStore
from orion.chains.secp256k1 import MalformedSignature
from orion.chains.solana.address import address_of
from orion.chains.spend import SpendRefused
from orion.errors import OrionError
from orion.kms.custody.errors import SignerRefused
from orion.kms.model import Message
from orion.kms.signing.errors import (
    AccountDiffers,
    BodyConflicts,
    CustodyAccountNotFound,
    FloatExhausted,
    RefillDiffers,
    WrongNetwork,
)
from orion.kms.signing.executor import SignedFee
from orion.kms.signing.model import ExecutionRequest, Refill, Reservation
from tests.engine import kms_signing_scene as scene
from tests.engine import kms_signing_transactions as transactions
from tests.engine.kms_scene import rows
from tests.engine.kms_signing_scene import TRACE, Rows, Stage, committed, told
from tests.unit.kms_signing_keys import custodian_secret

pytestmark = pytest.mark.engine
GROUP, OTHER = 31, 32
SEED = secrets.token_bytes(32)
EXECUTOR, FEE_PAYER = "executor-ethereum", "fee-payer-solana"
# 100,000 gas at 10 gwei.
FEE = 10**15


@pytest.fixture(scope="module")
def planted(aws_engine: Any, mysql_admin: Any) -> Iterator[tuple[Stage, Rows]]:
    """Two groups under sets of their own, and their rows."""
    seeds = {GROUP: SEED, OTHER: secrets.token_bytes(32)}
    yield from scene.planted_stage(aws_engine, mysql_admin, seeds)


@pytest.fixture
def stage(planted: tuple[Stage, Rows]) -> Stage:
    """The planted stage as it was, with full floats."""
    found, known = planted
    known.put_back(found.database)
    return found


def asked(unsigned: bytes, *groups: int) -> ExecutionRequest:
    return ExecutionRequest(unsigned, groups or (GROUP,), TRACE, safe_nonce=0)


def making(unsigned: bytes) -> ExecutionRequest:
    """Of a Safe that has no nonce yet."""
    return ExecutionRequest(unsigned, (GROUP,), TRACE)


def executed(
    stage: Stage,
    cap_units: int | None = None,
    *,
    nonce: int = 0,
    max_fee_gwei: int = 10,
    value: int = 5,
) -> SignedFee:
    """The executor's answer to a payment of the group's Safe."""
    account = stage.account(GROUP, "ethereum")
    unsigned = transactions.execution(account, nonce=nonce, max_fee_gwei=max_fee_gwei, value=value)
    return stage.floats("ethereum", cap_units).sign(asked(unsigned))


def test_the_executors_transaction_is_its_own_by_an_independent_reading(stage: Stage) -> None:
    from eth_account import Account
    from eth_keys.datatypes import PublicKey

    signed = executed(stage)
    assert signed.transaction is not None
    key = PublicKey.from_compressed_bytes(stage.floats("ethereum").key.public_key())
    sender = Account.recover_transaction(signed.transaction)
    assert sender.lower() == key.to_address()
    assert told(stage, "fee.signed") == 1


def test_the_same_request_answers_the_stored_signature_and_counts_nothing(stage: Stage) -> None:
    first = executed(stage)
    assert executed(stage) == first
    assert committed(stage) == FEE
    assert told(stage, "fee.signed") == 1


def test_a_bump_re_signs_the_same_body_and_counts_the_difference(stage: Stage) -> None:
    first = executed(stage)
    dearer = executed(stage, max_fee_gwei=13)
    assert dearer.version != first.version
    assert committed(stage) == 13 * FEE // 10
    for cheaper_gwei in (11, 12):
        executed(stage, max_fee_gwei=cheaper_gwei)
        assert committed(stage) == 13 * FEE // 10
    executed(stage, nonce=1)
    assert committed(stage) == 23 * FEE // 10
    assert executed(stage) == first


def test_another_body_under_a_signed_nonce_is_refused(stage: Stage) -> None:
    executed(stage)
    with pytest.raises(BodyConflicts):
        executed(stage, value=1)
    with pytest.raises(BodyConflicts):
        executed(stage, value=1, max_fee_gwei=100)
    executed(stage, value=1, nonce=1)
    assert committed(stage) == 2 * FEE


def test_the_float_ends_at_its_cap_and_a_refill_gives_back_what_it_says(stage: Stage) -> None:
    executed(stage, 2 * FEE)
    executed(stage, 2 * FEE, nonce=1)
    with pytest.raises(FloatExhausted):
        executed(stage, 2 * FEE, nonce=2)
    with pytest.raises(FloatExhausted):
        executed(stage, 2 * FEE, nonce=1, max_fee_gwei=11)
    # What was refused left nothing: the same nonce is free for another body afterwards.
    refill = Refill("pay_1", FEE, TRACE)
    assert stage.floats("ethereum").refilled(refill).committed_units == FEE
    executed(stage, 2 * FEE, nonce=2, value=9)
    assert committed(stage) == 2 * FEE


def test_a_refill_counts_once_for_its_id_and_never_with_other_units(stage: Stage) -> None:
    executed(stage)
    signer = stage.floats("ethereum")
    refill = Refill("pay_1", FEE // 2, TRACE)
    assert [signer.refilled(refill).committed_units for _ in range(3)] == [FEE // 2] * 3
    with pytest.raises(RefillDiffers):
        signer.refilled(Refill("pay_1", FEE, TRACE))
    assert signer.refilled(Refill("pay_2", 10**18, TRACE)).committed_units == 0
    # The other signer's float is another, and its ids are its own.
    assert stage.floats("solana").refilled(refill).committed_units == 0
    assert told(stage, "float.refilled") == 3


def test_the_making_of_a_known_safe_is_signed_and_a_strangers_is_not(stage: Stage) -> None:
    signer = stage.floats("ethereum")
    made = signer.sign(making(transactions.safe_creation(stage.account(GROUP, "ethereum"))))
    assert made.transaction is not None
    with pytest.raises(SpendRefused):
        signer.sign(making(transactions.safe_creation(stage.account(OTHER, "ethereum"), nonce=1)))


def test_only_transactions_of_the_groups_named_and_of_this_chain_are_signed(stage: Stage) -> None:
    mine, other = (stage.account(group, "ethereum") for group in (GROUP, OTHER))
    signer = stage.floats("ethereum")
    refused: list[tuple[ExecutionRequest, type[OrionError]]] = [
        (asked(transactions.execution(other)), SpendRefused),
        (asked(transactions.execution(mine), OTHER), SpendRefused),
        (asked(transactions.execution(mine), 999), CustodyAccountNotFound),
        (asked(transactions.execution(mine, chain_id=1)), WrongNetwork),
        (asked(transactions.ethereum_sweep("0x" + "11" * 20)[0]), SpendRefused),
        (asked(transactions.execution(mine)[:-1]), SpendRefused),
        (asked(b"\2"), SpendRefused),
    ]
    for request, error in refused:
        with pytest.raises(error):
            signer.sign(request)
    assert committed(stage) == 0
    signer.sign(asked(transactions.execution(mine), OTHER, GROUP))


def test_what_three_owners_have_not_signed_for_this_nonce_of_the_safe_is_not_carried(
    stage: Stage,
) -> None:
    account, signer = stage.account(GROUP, "ethereum"), stage.floats("ethereum")

    def by_hand(key_set: int, custodian: int, digest: bytes) -> bytes:
        key = PrivateKey(custodian_secret(key_set, custodian))
        return key.sign_recoverable(digest, hasher=None)

    def of_a_strangers(custodian: int, digest: bytes) -> bytes:
        return by_hand(666 if custodian == 3 else account.place.set_no, custodian, digest)

    def of_another_payment(custodian: int, digest: bytes) -> bytes:
        return by_hand(account.place.set_no, custodian, bytes(31) + b"\1")

    good = transactions.execution(account)
    bad = [
        transactions.execution(account, signed=of_a_strangers),
        transactions.execution(account, signed=of_another_payment),
        transactions.execution(account, custodians=(1, 1, 3)),
        transactions.execution(account, signed=lambda *_: bytes(65)),
    ]
    requests = [asked(unsigned) for unsigned in bad]
    requests += [replace(asked(good), safe_nonce=nonce) for nonce in (1, None)]
    requests += [asked(transactions.safe_creation(account))]
    for request in requests:
        with pytest.raises(SpendRefused) as caught:
            signer.sign(request)
        assert caught.value.fields["reason"] in ("signatures", "safe_nonce")
    assert committed(stage) == 0
    signer.sign(asked(transactions.execution(account, custodians=(2, 4, 5))))


def test_an_altered_account_is_noticed_before_anything_is_recorded(stage: Stage) -> None:
    stranger = stage.account(OTHER, "ethereum")
    with stage.database.transaction() as cursor:
        cursor.execute(
            "UPDATE custody_account SET address = %s"
            " WHERE group_no = %s AND chain = 'ethereum' AND kind = 'hot'",
            (stranger.address, GROUP),
        )
    with pytest.raises(AccountDiffers):
        stage.floats("ethereum").sign(asked(transactions.execution(stranger)))
    assert committed(stage) == 0


def solana_message(stage: Stage, kind: str = "hot", group: int = GROUP) -> bytes:
    payer = address_of(stage.floats("solana").key.public_key())
    target = stage.custody_address(group, "solana", kind)
    return transactions.solana_sweep(SEED, (7, 8), target, fee_payer=payer)[0]


def test_the_fee_payers_signature_holds_and_each_message_counts_in_full(stage: Stage) -> None:
    signer = stage.floats("solana")
    hot, warm = solana_message(stage), solana_message(stage, "warm")
    first = signer.sign(asked(hot))
    assert first.transaction is None
    Ed25519PublicKey.from_public_bytes(signer.key.public_key()).verify(first.signature, hot)
    once = committed(stage, FEE_PAYER)
    assert once > 0
    assert signer.sign(asked(hot)) == first
    assert committed(stage, FEE_PAYER) == once
    signer.sign(asked(warm))
    assert committed(stage, FEE_PAYER) == 2 * once
    with pytest.raises(FloatExhausted):
        stage.floats("solana", 2 * once).sign(asked(solana_message(stage, group=OTHER), OTHER))


def test_the_fee_payer_signs_for_no_stranger_and_no_other_payer(stage: Stage) -> None:
    signer = stage.floats("solana")
    target = stage.custody_address(GROUP, "solana")
    others = transactions.solana_sweep(SEED, (7, 8), target, fee_payer=scene.FEE_PAYER)[0]
    for unsigned in (others, solana_message(stage, group=OTHER), b"", solana_message(stage)[:-1]):
        with pytest.raises(SpendRefused):
            signer.sign(asked(unsigned))
    assert committed(stage, FEE_PAYER) == 0


def test_two_bodies_that_meet_at_one_nonce_get_one_signature(
    stage: Stage, mysql_admin: Any
) -> None:
    account = stage.account(GROUP, "ethereum")
    bodies = [transactions.execution(account, value=number) for number in range(4)]
    executed(stage, nonce=7)
    holder = mysql_admin.connect()
    with ThreadPoolExecutor(4) as pool, holder, holder.cursor() as cursor:
        holder.begin()
        cursor.execute("SELECT * FROM orion_kms.signer_float FOR UPDATE")

        def sign(unsigned: bytes) -> bool:
            beside = stage.beside(mysql_admin)
            try:
                beside.floats("ethereum").sign(asked(unsigned))
            except BodyConflicts:
                return False
            finally:
                beside.database.close()
            return True

        running = [pool.submit(sign, unsigned) for unsigned in bodies]
        # All of them wait; without the row's lock none of them would see another's record.
        assert not any(future.done() for future in running)
        ((seen,),) = rows(stage.database, "SELECT COUNT(*) FROM signer_slot WHERE slot = '31337:0'")
        assert seen == 0
        holder.commit()
        assert sorted(future.result(timeout=20) for future in running) == [False] * 3 + [True]
    assert committed(stage) == 2 * FEE


def test_two_nonces_that_meet_at_the_last_room_of_a_float_get_one_signature(
    stage: Stage, mysql_admin: Any
) -> None:
    account = stage.account(GROUP, "ethereum")
    executed(stage, nonce=7)

    def sign(nonce: int) -> bool:
        beside = stage.beside(mysql_admin)
        try:
            beside.floats("ethereum", 2 * FEE).sign(
                asked(transactions.execution(account, nonce=nonce))
            )
        except FloatExhausted:
            return False
        finally:
            beside.database.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(sign, range(4))) == [False] * 3 + [True]
    assert committed(stage) == 2 * FEE


def test_a_disabled_key_leaves_the_record_and_the_request_signs_later(stage: Stage) -> None:
    key = stage.kms.describe_key(KeyId=f"alias/orion/{stage.name}/{EXECUTOR}")["KeyMetadata"]
    account = stage.account(GROUP, "ethereum")
    signer = stage.floats("ethereum")
    signer.key.public_key()
    stage.kms.disable_key(KeyId=key["KeyId"])
    try:
        with pytest.raises(SignerRefused):
            signer.sign(asked(transactions.execution(account)))
    finally:
        stage.kms.enable_key(KeyId=key["KeyId"])
    assert committed(stage) == FEE
    signer.sign(asked(transactions.execution(account)))
    assert committed(stage) == FEE


def test_a_signature_stored_for_other_bytes_does_not_leave(stage: Stage) -> None:
    other = executed(stage, nonce=1)
    executed(stage)
    with stage.database.transaction() as cursor:
        # Well-formed, and this very key's.
        cursor.execute(
            "UPDATE signer_version SET signature = %s WHERE slot = '31337:0'", (other.signature,)
        )
    with pytest.raises(MalformedSignature):
        executed(stage)


def test_of_two_signatures_of_one_version_the_first_is_kept_for_ever(stage: Stage) -> None:
    store = MySqlFloatStore(stage.database, "ethereum", "31337")
    wanted = Reservation(EXECUTOR, "31337:5", bytes(32), bytes(32), 1)
    event = Message("audit.events", "kms", {"action": "fee.signed"}, bytes(16))
    for _ in range(2):
        assert store.reserve(wanted, 1, scene.NOW) is None
    assert store.keep(wanted, b"a" * 65, event, scene.NOW) == b"a" * 65
    assert store.keep(wanted, b"b" * 65, event, scene.NOW) == b"a" * 65
    assert store.reserve(wanted, 1, scene.NOW) == b"a" * 65
    assert told(stage, "fee.signed") == 1


def test_the_store_refuses_to_keep_what_was_never_reserved(stage: Stage) -> None:
    store = MySqlFloatStore(stage.database, "ethereum", "31337")
    never = Reservation(EXECUTOR, "31337:5", bytes(32), bytes(32), 1)
    with pytest.raises(RuntimeError):
        store.keep(never, bytes(65), Message("audit.events", "kms", {}, bytes(16)), scene.NOW)
