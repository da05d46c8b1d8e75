"""Everything is lost but the KMS keys, a backup of `orion_kms` and the backups of the custodians'
tables: what a new stack can do with them, and what it must not do without the last of them.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.migrations import migrate
from infra.local.stack import Stack
from orion.chains.bitcoin.psbt_build import Recipient, payment_psbt
from orion.chains.spend import custody
from orion.kms.signing.errors import BodyConflicts
from tests.engine.custodian_scene import (
    Aws,
)
from tests.engine.custody_disaster_scene import (
    GROUPS,
    OTHER_SHOP,
    SHOP,
    WALLETS,
    Backup,
    Before,
    assert_refuses,
    backup_of,
    bitcoin_request,
    bumped,
    carrying,
    coin_of,
    executed,
    exported,
    lived,
    new_processes,
    restored,
    seeds_of,
    signatures,
    swept,
    tables_restored,
    told,
    tron_request,
)
from tests.engine.kms_scene import connected
from tests.engine.kms_signing_scene import NETWORKS, Stage

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def lost(stack_folders: Path) -> tuple[Backup, Before]:
    """A stack that lived, its backups, and nothing else of it."""
    stack = Stack(stack_folders / "before")
    try:
        stack.up(("ministack", "mariadb"))
        migrate(stack.mariadb, None)
        stage, before = lived(stack)
        backup = backup_of(stack, stage, before.custodians)
    finally:
        stack.down()
    shutil.rmtree(stack.var)
    return backup, before


@pytest.fixture(scope="module")
def new_stack(lost: tuple[Backup, Before], stack_folders: Path) -> Iterator[Stack]:
    """Restored from keys and rows."""
    stack = Stack(stack_folders / "after")
    try:
        yield restored(lost[0], stack.var)
    finally:
        stack.down()


@pytest.fixture
def stage(lost: tuple[Backup, Before], new_stack: Stack) -> Iterator[Stage]:
    found = Stage(
        Aws(new_stack.ministack).kms, lost[1].custodians.stage, connected(new_stack.mariadb)
    )
    yield found
    found.database.close()


def test_all_groups_come_back_with_the_same_addresses_for_the_same_indexes(
    lost: tuple[Backup, Before], stage: Stage
) -> None:
    before = lost[1]
    assert seeds_of(stage) == before.seeds
    assert told(stage) == before.addresses
    assert sum(len(body["wallets"]) for body in before.addresses) == len(GROUPS) * WALLETS  # type: ignore[arg-type,misc]
    assert exported(stage) == before.export


def test_sweep_signers_sign_the_same_again(lost: tuple[Backup, Before], stage: Stage) -> None:
    before = lost[1]
    assert len(before.sweeps) == len(GROUPS) * len(NETWORKS)
    assert swept(stage, before.seeds) == before.sweeps


def test_the_executor_answers_what_it_signed_and_no_other_body_under_that_nonce(
    lost: tuple[Backup, Before], stage: Stage
) -> None:
    assert executed(stage, lost[1].carried) == lost[1].executed
    with pytest.raises(BodyConflicts):
        executed(stage, carrying(stage, value=6))


def test_custodians_sign_again_and_refuse_what_conflicts_with_what_they_signed(
    lost: tuple[Backup, Before], new_stack: Stack
) -> None:
    backup, before = lost
    aws = Aws(new_stack.ministack)
    tables_restored(backup, before.custodians, aws)
    again = new_processes(before.custodians, aws, before.custodians.tables)

    # What was signed is answered from the record, byte for byte.
    for chain, request in before.requests.items():
        assert signatures(again, request) == before.signed[chain]

    # Another payout of the same coin, and the same payout on Tron while the first may still come.
    bitcoin, tron = before.accounts["bitcoin"], before.accounts["tron"]
    issuers = before.custodians.issuers
    instruction = before.requests["tron"]["instructions"][0]["instruction"]
    stolen = bitcoin_request(issuers, bitcoin, OTHER_SHOP)
    twice = tron_request(issuers, tron, minute=5, instruction=instruction)
    signers = {number: again.services[number] for number in (1, 2, 3)}
    again.services = signers
    assert_refuses(again, stolen, "claim_of_other_effect")
    assert_refuses(again, twice, "earlier_version_alive")

    # They sign on: a fee bump of the same payout, which excludes the first version.
    request = bumped(before.requests["bitcoin"], bitcoin)
    made = signatures(again, request)
    whole = custody("bitcoin").assemble(
        payment_psbt(bitcoin, [coin_of(bitcoin)], [Recipient(SHOP, 9_000)], 800), bitcoin, made
    )
    assert whole


def test_without_the_custodians_tables_the_same_keys_would_sign_twice(
    lost: tuple[Backup, Before], new_stack: Stack
) -> None:
    """The hazard that makes the tables part of the backup: rows and keys alone do not know what
    was signed.
    """
    before = lost[1]
    aws = Aws(new_stack.ministack)
    forgetful = new_processes(
        before.custodians, aws, {number: aws.table() for number in before.custodians.numbers}
    ).enrolled()
    bitcoin, tron = before.accounts["bitcoin"], before.accounts["tron"]
    issuers = before.custodians.issuers
    instruction = before.requests["tron"]["instructions"][0]["instruction"]
    stolen = bitcoin_request(issuers, bitcoin, OTHER_SHOP)
    twice = tron_request(issuers, tron, minute=5, instruction=instruction)

    for request in (stolen, twice):
        assert len(signatures(forgetful, request)) == 3
