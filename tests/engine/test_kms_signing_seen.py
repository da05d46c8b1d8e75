"""Custody accounts are marked as being on their chains on the word of one issuer alone."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from orion.adapters.mysql.kms_accounts import MySqlSeenStore
from orion.chains.spend import WalletKind
from orion.errors import OrionError
from orion.kms.custody.errors import CustodianRefusal
from orion.kms.signing.errors import AccountDiffers, CustodyAccountNotFound, WrongNetwork
from orion.kms.signing.model import Place, SeenRequest
from orion.kms.signing.seen import Seen, SeenAccounts
from orion.kms.signing.sets import set_digest
from tests.engine import kms_signing_processes as processes
from tests.engine import kms_signing_scene as scene
from tests.engine import kms_signing_transactions as transactions
from tests.engine.custodian_scene import Body, Issuers
from tests.engine.kms_scene import outbox, rows
from tests.engine.kms_signing_scene import ISSUERS, NETWORKS, TRACE, Rows, Stage
from tests.unit.kms_signing_keys import custody_set

pytestmark = pytest.mark.engine
GROUP, OTHER = 31, 32
SEED = secrets.token_bytes(32)
HOT = set_digest(custody_set(scene.HOT_SET, WalletKind.HOT))


@pytest.fixture(scope="module")
def planted(aws_engine: Any, mysql_admin: Any) -> Iterator[tuple[Stage, Rows]]:
    """Two groups under sets of their own, and their rows."""
    seeds = {GROUP: SEED, OTHER: secrets.token_bytes(32)}
    yield from scene.planted_stage(aws_engine, mysql_admin, seeds)


@pytest.fixture
def stage(planted: tuple[Stage, Rows]) -> Stage:
    """The planted stage as it was."""
    found, known = planted
    known.put_back(found.database)
    return found


def mark(stage: Stage, statement: object) -> Seen:
    store = MySqlSeenStore(stage.database, NETWORKS)
    seen = SeenAccounts(NETWORKS, scene.evidence_keys, store, lambda: scene.NOW)
    return seen.mark(SeenRequest(statement, TRACE))


def held(stage: Stage, chain: str, **more: object) -> Body:
    """What the issuer says of the group's hot account."""
    return ISSUERS.held(chain, stage.custody_address(GROUP, chain), HOT, **more)


def marked(stage: Stage) -> list[tuple[int, str, str]]:
    return [
        (int(group), str(kind), str(chain))
        for group, kind, chain in rows(
            stage.database,
            "SELECT group_no, kind, chain FROM custody_account WHERE on_chain_at IS NOT NULL",
        )
    ]


def events(stage: Stage) -> list[Mapping[str, Any]]:
    found = outbox(stage.database, "audit.events")
    return [body for body in found if body["action"] == "custody_account.seen"]


@pytest.mark.parametrize("chain", ["ethereum", "tron", "solana"])
def test_an_account_is_marked_once_with_one_event_and_is_swept_to_from_then_on(
    stage: Stage, chain: str
) -> None:
    wanted = transactions.sweep_of(GROUP, chain, SEED, stage.custody_address(GROUP, chain))
    if chain != "ethereum":
        with pytest.raises(OrionError, match="seen"):
            stage.sweeps(chain).sign(wanted)
    place = Place(GROUP, "hot", chain, scene.HOT_SET)
    assert mark(stage, held(stage, chain)) == Seen((place,), new=True)
    assert mark(stage, held(stage, chain, final_at=3_000)) == Seen((place,), new=False)
    assert marked(stage) == [(GROUP, "hot", chain)]
    (event,) = events(stage)
    assert event["details"]["address"] == stage.custody_address(GROUP, chain)
    assert event["details"]["final_at"] == 2_000
    stage.sweeps(chain).sign(wanted)
    # The relay empties the outbox: what it has sent is not told again.
    with stage.database.transaction() as cursor:
        cursor.execute("DELETE FROM outbox")
    mark(stage, held(stage, chain))
    assert events(stage) == []


def test_what_the_issuer_does_not_say_or_says_of_something_else_marks_nothing(
    stage: Stage,
) -> None:
    address = stage.custody_address(GROUP, "tron")
    late = {"issued_at": "2026-01-01T00:00:00+00:00", "expires_at": "2026-01-02T03:04:05+00:00"}
    said = {"chain": "tron", "network": "private", "address": address, "set": HOT, "final_at": 1}
    refused: list[tuple[object, type[OrionError], str]] = [
        (held(stage, "tron", **late), CustodianRefusal, "not_valid_now"),
        (ISSUERS.absent("tron", "ab"), CustodianRefusal, "not_wanted"),
        (held(stage, "bitcoin"), CustodianRefusal, "not_wanted"),
        (Issuers(lambda: scene.NOW).held("tron", address, HOT), CustodianRefusal, "bad_signature"),
        (ISSUERS.statement("step-up", "held", **said), CustodianRefusal, "wrong_issuer"),
        (held(stage, "tron", network="mainnet"), WrongNetwork, ""),
        (held(stage, "tron", set="ab" * 32), CustodyAccountNotFound, ""),
        (held(stage, "tron", set=set_digest(custody_set(174, WalletKind.HOT))),
         CustodyAccountNotFound, ""),
        (ISSUERS.held("tron", transactions.wallet(SEED, 3)["tron"], HOT),
         CustodyAccountNotFound, ""),
        (ISSUERS.held("tron", stage.custody_address(GROUP, "tron", "warm"), HOT),
         CustodyAccountNotFound, ""),
        (None, CustodianRefusal, "not_an_object"),
        ([], CustodianRefusal, "not_an_object"),
    ]  # fmt: skip
    for statement, error, reason in refused:
        with pytest.raises(error) as caught:
            mark(stage, statement)
        if isinstance(caught.value, CustodianRefusal):
            assert caught.value.reason == reason
    assert marked(stage) == []
    assert events(stage) == []


def test_an_account_whose_row_does_not_follow_from_its_keys_is_not_marked(stage: Stage) -> None:
    with stage.database.transaction() as cursor:
        cursor.execute(
            "UPDATE custody_account SET address = 'elsewhere'"
            " WHERE group_no = %s AND kind = 'hot' AND chain = 'solana'",
            (GROUP,),
        )
    with pytest.raises(AccountDiffers):
        mark(stage, ISSUERS.held("solana", "elsewhere", HOT))
    assert marked(stage) == []


def test_the_function_marks_what_the_sweep_function_then_pays(
    stage: Stage, aws_engine: Any, mysql_admin: Any
) -> None:
    environment = processes.deployed(stage, aws_engine, mysql_admin)
    address = stage.custody_address(GROUP, "tron")
    sweep = transactions.as_event(transactions.sweep_of(GROUP, "tron", SEED, address))
    statement = held(stage, "tron", **scene.by_the_clock())
    body = {"v": 1, "trace_id": TRACE, "statement": statement}
    told = processes.answers(
        processes.ran(
            environment,
            [
                ("functions/kms/sweep_tron.py", sweep),
                ("functions/kms/custody_on_chain.py", {**body, "statement": {}}),
                ("functions/kms/custody_on_chain.py", body),
                ("functions/kms/custody_on_chain.py", body),
                ("functions/kms/sweep_tron.py", sweep),
            ],
        )
    )
    assert [row.get("code", row["outcome"]) for row in told] == [
        "custody_account_not_on_chain", "malformed_request", "on_chain", "on_chain", "signed",
    ]  # fmt: skip
    account = {"group": GROUP, "wallet": "hot", "chain": "tron", "set": scene.HOT_SET}
    assert told[2] == {"outcome": "on_chain", "new": True, "accounts": [account]}
    assert told[3] == {"outcome": "on_chain", "new": False, "accounts": [account]}
