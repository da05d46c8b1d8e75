"""Sweep signers and the Tron handover with real KMS keys and a real database."""

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from orion.adapters.aws.chain_key_vault import KmsChainKeyOpener
from orion.chains import base58
from orion.chains.ethereum.safe_account import rotated_anchor
from orion.chains.solana.address import address_of as solana_address
from orion.chains.spend import SpendRefused, WalletKind, custody
from orion.errors import OrionError
from orion.kms.signing.errors import (
    AccountDiffers,
    ChainKeyNotFound,
    ChainKeyRefused,
    ChainKeyVaultUnavailable,
    CustodyAccountNotFound,
    CustodyAccountNotOnChain,
    FeeTooHigh,
    RecipientNotOurs,
)
from orion.kms.signing.model import ExecutionRequest, SweepRequest
from tests.engine import kms_signing_scene as scene
from tests.engine import kms_signing_transactions as transactions
from tests.engine.kms_scene import outbox, rows
from tests.engine.kms_signing_scene import CAPS, NETWORKS, TRACE, Rows, Stage
from tests.unit.kms_signing_keys import custody_set

pytestmark = pytest.mark.engine
GROUP, OTHER = 31, 32
SEED, OTHER_SEED = secrets.token_bytes(32), secrets.token_bytes(32)


@pytest.fixture(scope="module")
def planted(aws_engine: Any, mysql_admin: Any) -> Iterator[tuple[Stage, Rows]]:
    """Two groups with known seeds under two registered sets, and their rows."""
    seeds = {GROUP: SEED, OTHER: OTHER_SEED}
    yield from scene.planted_stage(aws_engine, mysql_admin, seeds, on_chain=[GROUP])


@pytest.fixture
def stage(planted: tuple[Stage, Rows]) -> Stage:
    """The planted stage as it was."""
    found, known = planted
    known.put_back(found.database)
    return found


def request(stage: Stage, chain: str, kind: str = "hot") -> SweepRequest:
    return transactions.sweep_of(GROUP, chain, SEED, stage.custody_address(GROUP, chain, kind))


@pytest.mark.parametrize("kind", ["hot", "warm"])
@pytest.mark.parametrize("chain", list(NETWORKS))
def test_a_sweep_to_the_groups_own_account_is_signed_the_same_at_each_repeat(
    stage: Stage, chain: str, kind: str
) -> None:
    wanted = request(stage, chain, kind)
    first = stage.sweeps(chain).sign(wanted)
    again = stage.sweeps(chain).sign(wanted)

    assert first == again
    events = [
        body for body in outbox(stage.database, "audit.events") if body["action"] == "sweep.signed"
    ]
    (event,) = events
    details = event["details"]
    assert isinstance(details, dict)
    assert details["version"] == first.version
    assert {row["recipient"] for row in details["payments"]} == {
        stage.custody_address(GROUP, chain, kind)
    }


def test_bitcoins_own_consensus_engine_accepts_the_sweep(stage: Stage) -> None:
    from tests.engine.custody_bitcoin_scene import kernel_accepts

    wanted = request(stage, "bitcoin")
    signed = stage.sweeps("bitcoin").sign(wanted)
    spent = [transactions.bitcoin_output(SEED, index) for index in wanted.indexes]
    assert kernel_accepts(signed.transaction, spent)
    # An output's value is changed after signing.
    spoiled = signed.transaction.replace((199_615).to_bytes(8, "little"), bytes([1]) + bytes(7))
    assert spoiled != signed.transaction
    assert not kernel_accepts(spoiled, spent)


def test_ethereums_sweep_is_from_the_wallet_by_an_independent_reading(stage: Stage) -> None:
    from eth_account import Account

    signed = stage.sweeps("ethereum").sign(request(stage, "ethereum"))
    sender = Account.recover_transaction(signed.transaction)
    assert sender.lower() == transactions.wallet(SEED, 7)["ethereum"]


def test_trons_sweep_is_from_the_wallet_by_an_independent_reading(stage: Stage) -> None:
    import hashlib

    wanted = request(stage, "tron")
    signed = stage.sweeps("tron").sign(wanted)
    assert signed.version == hashlib.sha256(wanted.unsigned).hexdigest()
    assert (
        transactions.tron_signer(signed.transaction, signed.version)
        == transactions.wallet(SEED, 7)["tron"]
    )


def test_solanas_sweep_verifies_by_an_independent_reading(stage: Stage) -> None:
    from solders.transaction import Transaction

    wanted = request(stage, "solana")
    signed = stage.sweeps("solana").sign(wanted)
    transaction = Transaction.from_bytes(signed.transaction)
    transaction.verify()
    signers = [str(key) for key in transaction.message.account_keys[:2]]
    assert signers == [transactions.wallet(SEED, index)["solana"] for index in wanted.indexes]


def test_a_solana_sweep_with_a_fee_payer_leaves_its_slot_to_it(stage: Stage) -> None:
    target = stage.custody_address(GROUP, "solana")
    unsigned, indexes = transactions.solana_sweep(SEED, (7, 8), target, fee_payer=scene.FEE_PAYER)
    signed = stage.sweeps("solana", cap_units=0).sign(SweepRequest(GROUP, unsigned, indexes, TRACE))
    slots = [signed.transaction[1 + 64 * place : 65 + 64 * place] for place in range(3)]
    assert slots[0] == bytes(64)
    for index, signature in zip(indexes, slots[1:], strict=True):
        key = base58.decode(transactions.wallet(SEED, index)["solana"])
        Ed25519PublicKey.from_public_bytes(key).verify(signature, unsigned)


@pytest.mark.parametrize("chain", list(NETWORKS))
def test_another_groups_account_or_a_strangers_is_no_destination(stage: Stage, chain: str) -> None:
    strangers = {stage.custody_address(OTHER, chain), transactions.wallet(OTHER_SEED, 3)[chain]}
    if chain == "solana":
        strangers = {stage.custody_address(OTHER, chain)}
    for address in strangers:
        wanted = transactions.sweep_of(GROUP, chain, SEED, address)
        with pytest.raises(RecipientNotOurs):
            stage.sweeps(chain).sign(wanted)
    assert [
        body for body in outbox(stage.database, "audit.events") if body["action"] == "sweep.signed"
    ] == []


@pytest.mark.parametrize("chain", list(NETWORKS))
def test_wallets_that_the_transaction_is_not_of_are_refused(stage: Stage, chain: str) -> None:
    wanted = request(stage, chain)
    others = tuple(index + 100 for index in wanted.indexes)
    refused: type[OrionError] = RecipientNotOurs if chain == "ethereum" else SpendRefused
    if chain == "ethereum":
        # Its unsigned bytes name no sender: another wallet's signature makes it another sweep of
        # that wallet, to the same account.
        assert (
            stage.sweeps(chain).sign(replace(wanted, indexes=others)).transaction
            != stage.sweeps(chain).sign(wanted).transaction
        )
        told = [
            body["details"]
            for body in outbox(stage.database, "audit.events")
            if body["action"] == "sweep.signed"
        ]
        swept = [details["wallets"] for details in told if isinstance(details, dict)]
        assert sorted(swept) == sorted([list(others), list(wanted.indexes)]), "each is told of"
        return
    with pytest.raises(refused):
        stage.sweeps(chain).sign(replace(wanted, indexes=others))


@pytest.mark.parametrize("chain", ["bitcoin", "ethereum", "tron"])
def test_a_fee_above_the_cap_is_refused_and_one_at_the_cap_is_not(stage: Stage, chain: str) -> None:
    wanted = request(stage, chain)
    with pytest.raises(FeeTooHigh) as caught:
        stage.sweeps(chain, cap_units=1).sign(wanted)
    fee = int(str(caught.value.fields["fee_max_units"]))
    with pytest.raises(FeeTooHigh):
        stage.sweeps(chain, cap_units=fee - 1).sign(wanted)
    stage.sweeps(chain, cap_units=fee).sign(wanted)


def test_a_group_without_key_or_account_is_refused_by_its_own_code(stage: Stage) -> None:
    wanted = request(stage, "tron")
    with pytest.raises(CustodyAccountNotFound):
        stage.sweeps("tron").sign(replace(wanted, group_no=999))
    with stage.database.transaction() as cursor:
        cursor.execute("DELETE FROM group_chain_key WHERE group_no = %s", (GROUP,))
    with pytest.raises(ChainKeyNotFound):
        stage.sweeps("tron").sign(wanted)


def test_an_account_of_a_former_set_is_no_destination_any_more(stage: Stage) -> None:
    stage.register([custody_set(172, WalletKind.HOT)])
    wanted = request(stage, "bitcoin")
    with stage.database.transaction() as cursor:
        cursor.execute(
            "UPDATE group_custody SET set_no = 172 WHERE group_no = %s AND kind = 'hot'", (GROUP,)
        )
    with pytest.raises(RecipientNotOurs):
        stage.sweeps("bitcoin").sign(wanted)
    stage.sweeps("bitcoin").sign(request(stage, "bitcoin", "warm"))


@pytest.mark.parametrize("chain", ["bitcoin", "ethereum", "tron", "solana"])
def test_an_altered_address_in_the_database_is_noticed_before_anything_is_signed(
    stage: Stage, chain: str
) -> None:
    stranger = stage.custody_address(OTHER, chain)
    with stage.database.transaction() as cursor:
        cursor.execute(
            "UPDATE custody_account SET address = %s"
            " WHERE group_no = %s AND kind = 'hot' AND chain = %s",
            (stranger, GROUP, chain),
        )
    with pytest.raises(AccountDiffers) as caught:
        stage.sweeps(chain).sign(transactions.sweep_of(GROUP, chain, SEED, stranger))
    assert caught.value.fields == {
        "group": GROUP, "wallet": "hot", "chain": chain, "set": scene.HOT_SET,
    }  # fmt: skip


def forged(stage: Stage, chain: str) -> tuple[str, str]:
    """Anchor and address as a thief would write them: an account of his own that his anchor leads
    to, under the group's own set, on the chain for all that the row says.
    """
    thief = custody_set(666, WalletKind.HOT)
    place = stage.account(GROUP, chain).place
    if chain == "tron":
        named = transactions.wallet(OTHER_SEED, 5)["tron"]
        return named, named
    if chain == "solana":
        anchor = solana_address(thief.keys.ed25519[0])
    else:
        own = custody(chain).account(replace(place, set_no=1), thief.keys, "")
        anchor = rotated_anchor(own)
        assert anchor.startswith("1:")
    ours = custody(chain).account(place, custody_set(scene.HOT_SET, WalletKind.HOT).keys, anchor)
    return anchor, ours.address


def write_account(stage: Stage, chain: str, anchor: str, address: str) -> None:
    with stage.database.transaction() as cursor:
        cursor.execute(
            "UPDATE custody_account SET anchor = %s, address = %s"
            " WHERE group_no = %s AND kind = 'hot' AND chain = %s",
            (anchor, address, GROUP, chain),
        )


@pytest.mark.parametrize("chain", ["ethereum", "tron", "solana"])
def test_a_row_whose_anchor_is_a_thiefs_is_refused_though_its_address_follows_from_it(
    stage: Stage, chain: str
) -> None:
    anchor, address = forged(stage, chain)
    write_account(stage, chain, anchor, address)
    for target in (address, stage.custody_address(GROUP, chain, "warm")):
        with pytest.raises(AccountDiffers) as caught:
            stage.sweeps(chain).sign(transactions.sweep_of(GROUP, chain, SEED, target))
        assert caught.value.fields["chain"] == chain
    if chain in ("ethereum", "solana"):
        request = ExecutionRequest(b"whatever", (GROUP,), TRACE)
        with pytest.raises(AccountDiffers):
            stage.floats(chain).sign(request)


def test_an_account_named_by_the_groups_key_for_the_other_wallet_is_refused(stage: Stage) -> None:
    warm = stage.custody_address(GROUP, "tron", "warm")
    write_account(stage, "tron", warm, warm)
    with pytest.raises(AccountDiffers):
        stage.sweeps("tron").sign(transactions.sweep_of(GROUP, "tron", SEED, warm))


def test_a_safe_that_a_former_set_made_is_a_destination_and_a_set_of_the_other_kinds_is_not(
    stage: Stage,
) -> None:
    stage.register([custody_set(172, WalletKind.HOT), custody_set(173, WalletKind.WARM)])
    place = stage.account(GROUP, "ethereum").place
    held_by = custody_set(scene.HOT_SET, WalletKind.HOT).keys
    for set_no, kind, signed in (
        (172, WalletKind.HOT, True), (173, WalletKind.WARM, False), (174, WalletKind.HOT, True),
    ):  # fmt: skip
        made = custody("ethereum").account(
            replace(place, set_no=set_no), custody_set(set_no, kind).keys, ""
        )
        anchor = rotated_anchor(made)
        rotated = custody("ethereum").account(place, held_by, anchor)
        assert rotated.address == made.address
        write_account(stage, "ethereum", anchor, rotated.address)
        wanted = transactions.sweep_of(GROUP, "ethereum", SEED, rotated.address)
        if signed:
            stage.sweeps("ethereum").sign(wanted)
            continue
        with pytest.raises(AccountDiffers):
            stage.sweeps("ethereum").sign(wanted)


@pytest.mark.parametrize("chain", list(NETWORKS))
def test_tron_and_solana_are_swept_only_to_accounts_that_were_seen_on_their_chains(
    stage: Stage, chain: str
) -> None:
    scene.unseen(stage)
    if chain in ("bitcoin", "ethereum"):
        stage.sweeps(chain).sign(request(stage, chain))
        return
    with pytest.raises(CustodyAccountNotOnChain):
        stage.sweeps(chain).sign(request(stage, chain))
    with stage.database.transaction() as cursor:
        cursor.execute(
            "UPDATE custody_account SET on_chain_at = NOW(6) WHERE chain = %s AND kind = 'warm'",
            (chain,),
        )
    stage.sweeps(chain).sign(request(stage, chain, "warm"))
    with pytest.raises(CustodyAccountNotOnChain):
        stage.sweeps(chain).sign(request(stage, chain))


def test_no_signer_opens_a_key_that_was_sealed_for_another_chain_or_group(stage: Stage) -> None:
    stored = {
        name: (ciphertext, arn)
        for name, ciphertext, arn in rows(
            stage.database,
            "SELECT chain, ciphertext, key_arn FROM group_chain_key WHERE group_no = %s",
            GROUP,
        )
    }
    assert set(stored) == {*NETWORKS, "tron-custody"}
    for chain, (name, sealed) in itertools.product(NETWORKS, stored.items()):
        if name != chain:
            with stage.database.transaction() as cursor:
                cursor.execute(
                    "UPDATE group_chain_key SET ciphertext = %s, key_arn = %s"
                    " WHERE group_no = %s AND chain = %s",
                    (*sealed, GROUP, chain),
                )
            with pytest.raises(ChainKeyRefused):
                stage.sweeps(chain).sign(request(stage, chain))
    with stage.database.transaction() as cursor:
        cursor.execute("DELETE FROM group_chain_key WHERE group_no = %s", (GROUP,))
        cursor.execute(
            "UPDATE group_chain_key SET group_no = %s WHERE group_no = %s", (GROUP, OTHER)
        )
    for chain in NETWORKS:
        with pytest.raises(ChainKeyRefused):
            stage.sweeps(chain).sign(request(stage, chain))


def test_a_disabled_key_is_an_outage_and_the_same_request_works_afterwards(stage: Stage) -> None:
    wanted = request(stage, "bitcoin")
    before = stage.sweeps("bitcoin").sign(wanted)
    alias = f"alias/orion/{stage.name}/sweep-bitcoin"
    key = stage.kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    stage.kms.disable_key(KeyId=key)
    with pytest.raises(ChainKeyVaultUnavailable):
        stage.sweeps("bitcoin").sign(wanted)
    stage.kms.enable_key(KeyId=key)
    assert stage.sweeps("bitcoin").sign(wanted) == before


def test_the_opened_node_is_zeroed_whatever_happens(stage: Stage) -> None:
    ((ciphertext, arn),) = rows(
        stage.database,
        "SELECT ciphertext, key_arn FROM group_chain_key WHERE group_no = %s AND chain = 'solana'",
        GROUP,
    )
    from orion.kms.model import SealedSeed

    opener = KmsChainKeyOpener(stage.kms, stage.name, "solana")
    seen: list[bytearray] = []

    def fail() -> None:
        with opener.opened(GROUP, SealedSeed(ciphertext, arn)) as node:
            seen.append(node)
            assert len(node) == 64
            assert any(node)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any(seen[0])


def test_the_scenes_caps_are_what_the_tests_think() -> None:
    assert set(CAPS) == set(NETWORKS)
