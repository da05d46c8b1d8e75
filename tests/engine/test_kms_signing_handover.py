"""The handover of a Tron account: what the naming key signs, once and nothing else."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from orion.chains.spend import SpendRefused, WalletKind
from orion.chains.tron import building
from orion.chains.tron.creation import handover
from orion.kms.signing.accounts import verified
from orion.kms.signing.errors import (
    NamingKeyDiffers,
)
from orion.kms.signing.model import HandoverRequest
from tests.engine import kms_signing_scene as scene
from tests.engine import kms_signing_transactions as transactions
from tests.engine.kms_scene import outbox, rows
from tests.engine.kms_signing_scene import TRACE, Rows, Stage

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


def handover_request(stage: Stage, kind: WalletKind = WalletKind.HOT) -> HandoverRequest:
    found = stage.handovers().store.account(GROUP, kind)
    assert found is not None
    return HandoverRequest(GROUP, kind, handover(verified(found), transactions.tron_frame()), TRACE)


@pytest.mark.parametrize("kind", list(WalletKind))
def test_a_handover_is_signed_by_the_naming_key_the_same_at_each_repeat(
    stage: Stage, kind: WalletKind
) -> None:
    scene.unseen(stage)
    wanted = handover_request(stage, kind)
    first = stage.handovers().sign(wanted)
    assert stage.handovers().sign(wanted) == first
    named = stage.custody_address(GROUP, "tron", kind.value)
    assert transactions.tron_signer(first.transaction, first.version) == named
    told = [body["action"] for body in outbox(stage.database, "audit.events")]
    assert told.count("tron.handover.signed") == 1
    ((marked,),) = rows(
        stage.database,
        "SELECT COUNT(on_chain_at) FROM custody_account WHERE group_no = %s",
        GROUP,
    )
    assert marked == 0


def test_the_naming_key_signs_nothing_but_its_own_handover(stage: Stage) -> None:
    hot, warm = (stage.custody_address(GROUP, "tron", kind) for kind in ("hot", "warm"))
    own = handover_request(stage)
    strange_owners = sorted(transactions.wallet(OTHER_SEED, index)["tron"] for index in range(5))
    bad = [
        building.transfer(hot, warm, 5, transactions.tron_frame(), 0),
        building.transfer(hot, warm, 5, transactions.tron_frame(), 2),
        building.update(hot, strange_owners, transactions.tron_frame()),
        handover_request(stage, WalletKind.WARM).unsigned,
        own.unsigned + b"\0",
        own.unsigned[:-1],
        b"",
    ]
    for unsigned in bad:
        with pytest.raises(SpendRefused):
            stage.handovers().sign(replace(own, unsigned=unsigned))
    assert "tron.handover.signed" not in [
        body["action"] for body in outbox(stage.database, "audit.events")
    ]


def test_an_account_that_another_groups_key_named_is_not_handed_over(stage: Stage) -> None:
    wanted = handover_request(stage)
    with stage.database.transaction() as cursor:
        cursor.execute(
            "SELECT ciphertext, key_arn FROM group_chain_key"
            " WHERE group_no = %s AND chain = 'tron-custody'",
            (GROUP,),
        )
        cursor.execute(
            "UPDATE custody_account SET anchor = %s, address = %s"
            " WHERE group_no = %s AND chain = 'tron' AND kind = 'hot'",
            (*[stage.custody_address(OTHER, "tron")] * 2, GROUP),
        )
    with pytest.raises(SpendRefused):
        stage.handovers().sign(wanted)
    with pytest.raises(NamingKeyDiffers):
        stage.handovers().sign(handover_request(stage))
