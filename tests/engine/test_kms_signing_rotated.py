"""A rotation that is final on the chains moves a wallet's custody: sweeps follow, once."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orion.adapters.mysql.kms_rotation import MySqlRotationStore
from orion.adapters.mysql.kms_signing import MySqlFloatStore
from orion.adapters.mysql.session import Database
from orion.chains.solana.address import address_of as solana_address
from orion.chains.spend import CustodyPlace, WalletKind, custody
from orion.kms.custody.errors import CustodianRefusal
from orion.kms.custody.statements import EvidenceKeys
from orion.kms.groups import CustodySet
from orion.kms.signing.errors import (
    AccountDiffers,
    CustodyAccountNotFound,
    RecipientNotOurs,
    RotationRefused,
    WrongNetwork,
)
from orion.kms.signing.model import RotatedRequest
from orion.kms.signing.rotated import Rotated, RotatedCustody, rotated_accounts
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
STATED = ("ethereum", "tron", "solana")
SPARE, NEXT = custody_set(176, WalletKind.HOT), custody_set(177, WalletKind.HOT)


@pytest.fixture(scope="module")
def planted(aws_engine: Any, mysql_admin: Any) -> Iterator[tuple[Stage, Rows]]:
    """Two groups under sets of their own, two spare sets, and their rows."""
    found = scene.new_stage_on(aws_engine, mysql_admin)
    found.register([*scene.SETS, SPARE, NEXT])
    found.plant(GROUP, SEED)
    found.plant(OTHER, secrets.token_bytes(32))
    found.on_chain(GROUP)
    yield found, Rows.of(found.database)
    found.database.close()


@pytest.fixture
def stage(planted: tuple[Stage, Rows]) -> Stage:
    """The planted stage as it was."""
    found, known = planted
    known.put_back(found.database)
    return found


def record(
    stage: Stage,
    statements: object,
    target: int = SPARE.set_no,
    kind: WalletKind = WalletKind.HOT,
    group_no: int = GROUP,
    evidence_keys: Callable[[], EvidenceKeys] = scene.evidence_keys,
) -> Rotated:
    anchors = {chain: stage.anchors(chain) for chain in ("bitcoin", "ethereum", "solana")}
    store = MySqlRotationStore(stage.database, NETWORKS)
    rotated = RotatedCustody(NETWORKS, anchors, evidence_keys, store, lambda: scene.NOW)
    return rotated.record(RotatedRequest(group_no, kind, target, statements, TRACE))


def addresses_of(stage: Stage, target: CustodySet) -> Mapping[str, str]:
    """The target set's accounts as the chains compute them from the group's present ones."""
    present = [stage.account(GROUP, chain) for chain in NETWORKS]
    moved = rotated_accounts(present, target)
    return {account.place.chain: account.address for account in moved}


def held(stage: Stage, target: CustodySet = SPARE, **more: object) -> list[Body]:
    found = addresses_of(stage, target)
    digest = set_digest(target)
    return [ISSUERS.held(chain, found[chain], digest, **more) for chain in STATED]


def holder(database: Database, kind: str = "hot") -> int:
    ((set_no,),) = rows(
        database,
        f"SELECT set_no FROM group_custody WHERE group_no = {GROUP} AND kind = '{kind}'",
    )
    return int(str(set_no))


def stored(stage: Stage, set_no: int) -> Mapping[str, tuple[str, bool]]:
    """Address, and whether it was seen, by chain."""
    found = rows(
        stage.database,
        "SELECT chain, address, on_chain_at IS NOT NULL FROM custody_account"
        f" WHERE group_no = {GROUP} AND set_no = {set_no}",
    )
    return {str(chain): (str(address), bool(seen)) for chain, address, seen in found}


def events(stage: Stage) -> list[Mapping[str, Any]]:
    told = outbox(stage.database, "audit.events")
    return [body for body in told if body["action"] == "custody.rotated"]


def unmoved(stage: Stage) -> bool:
    return (holder(stage.database), stored(stage, SPARE.set_no), events(stage)) == (170, {}, [])


def test_sweeps_go_to_the_target_sets_accounts_and_no_more_to_the_old_ones(stage: Stage) -> None:
    old = {chain: stage.custody_address(GROUP, chain) for chain in NETWORKS}
    new = addresses_of(stage, SPARE)
    stage.sweeps("bitcoin").sign(transactions.sweep_of(GROUP, "bitcoin", SEED, old["bitcoin"]))
    with pytest.raises(RecipientNotOurs):
        stage.sweeps("bitcoin").sign(transactions.sweep_of(GROUP, "bitcoin", SEED, new["bitcoin"]))

    assert record(stage, held(stage)) == Rotated(170, 176, new=True)

    for chain in NETWORKS:
        stage.sweeps(chain).sign(transactions.sweep_of(GROUP, chain, SEED, new[chain]))
    for chain in ("bitcoin", "solana"):
        assert new[chain] != old[chain]
        with pytest.raises(RecipientNotOurs):
            stage.sweeps(chain).sign(transactions.sweep_of(GROUP, chain, SEED, old[chain]))
    assert stored(stage, 176) == {chain: (new[chain], chain in STATED) for chain in NETWORKS}
    assert (holder(stage.database), holder(stage.database, "warm")) == (176, 171)
    (event,) = events(stage)
    assert event["details"]["from_set"] == 170
    assert event["details"]["set"] == 176
    assert {row["chain"]: row["final_at"] for row in event["details"]["accounts"]} == {
        "bitcoin": None, **dict.fromkeys(STATED, 2_000),
    }  # fmt: skip


def test_former_accounts_stay_known_and_another_rotation_may_follow(stage: Stage) -> None:
    record(stage, held(stage))
    moved = [
        account
        for chain in NETWORKS
        for account in MySqlFloatStore(stage.database, chain, NETWORKS[chain]).accounts([GROUP])
        if account.place.kind is WalletKind.HOT
    ]
    assert {account.place.set_no for account in moved} == {170, 176}
    present = [account for account in moved if account.place.set_no == 176]
    further = rotated_accounts(present, NEXT)
    statements = [
        ISSUERS.held(account.place.chain, account.address, set_digest(NEXT))
        for account in further
        if account.place.chain in STATED
    ]
    first = held_by_hand(stage)
    assert record(stage, statements, 177) == Rotated(176, 177, new=True)
    # The first rotation's request comes again, and its statements are still valid.
    with pytest.raises(RotationRefused) as caught:
        record(stage, first)
    assert caught.value.fields["reason"] == "former_set"
    assert holder(stage.database) == 177


def held_by_hand(stage: Stage) -> list[Body]:
    """What was said of the first rotation, from the rows that it left."""
    found = stored(stage, SPARE.set_no)
    return [ISSUERS.held(chain, found[chain][0], set_digest(SPARE)) for chain in STATED]


def test_a_repeat_is_a_no_op_whatever_became_of_its_statements(stage: Stage) -> None:
    statements = held(stage)
    record(stage, statements)
    # The relay empties the outbox: what it has sent is not told again.
    with stage.database.transaction() as cursor:
        cursor.execute("DELETE FROM outbox")
    before = stored(stage, 176)
    assert record(stage, statements) == Rotated(None, 176, new=False)
    assert record(stage, []) == Rotated(None, 176, new=False)
    assert stored(stage, 176) == before
    assert events(stage) == []


def test_statements_that_are_missing_or_speak_of_something_else_move_nothing(
    stage: Stage,
) -> None:
    good = held(stage)
    late = {"issued_at": "2026-01-01T00:00:00+00:00", "expires_at": "2026-01-02T03:04:05+00:00"}
    strangers = Issuers(lambda: scene.NOW)
    address = addresses_of(stage, SPARE)["solana"]
    refused: list[tuple[Sequence[object], str]] = [
        ([], "held_missing"),
        (good[1:], "held_missing"),
        (good[:2], "held_missing"),
        ([*good[:2], ISSUERS.held("solana", stage.custody_address(GROUP, "solana"),
                                  set_digest(SPARE))], "about_another"),
        (held(stage, NEXT), "about_another"),
        ([*good[:2], ISSUERS.held("solana", address, set_digest(NEXT))], "about_another"),
        (held(stage, SPARE, **late), "not_valid_now"),
        ([*good, good[0]], "repeated"),
        ([*good, ISSUERS.absent("tron", "ab")], "not_wanted"),
        ([*good[:2], strangers.held("solana", address, set_digest(SPARE))], "bad_signature"),
    ]  # fmt: skip
    for statements, reason in refused:
        with pytest.raises(CustodianRefusal) as caught:
            record(stage, list(statements))
        assert caught.value.reason == reason
    with pytest.raises(WrongNetwork):
        record(stage, held(stage, SPARE, network="mainnet"))
    assert unmoved(stage)


def test_sets_that_are_unknown_of_the_other_purpose_or_present_take_no_wallet(
    stage: Stage,
) -> None:
    statements = held(stage)
    for target, reason in (
        (999, "set_not_registered"), (171, "other_purpose"), (170, "present_set"),
    ):  # fmt: skip
        with pytest.raises(RotationRefused) as caught:
            record(stage, statements, target)
        assert caught.value.fields["reason"] == reason
    with pytest.raises(RotationRefused):
        record(stage, statements, 176, WalletKind.WARM)
    with pytest.raises(CustodyAccountNotFound):
        record(stage, statements, group_no=33)
    assert unmoved(stage)


@pytest.mark.parametrize("chain", ["bitcoin", "ethereum", "solana"])
def test_a_row_that_we_did_not_write_is_not_carried_over(stage: Stage, chain: str) -> None:
    statements = held(stage)
    place = CustodyPlace(chain, NETWORKS[chain], GROUP, WalletKind.HOT, 170)
    anchor = {
        "bitcoin": "",
        "ethereum": "170:" + "ab" * 32,
        "solana": solana_address(custody_set(901, WalletKind.HOT).keys.ed25519[0]),
    }[chain]
    forged = custody(chain).account(place, stage.account(GROUP, chain).keys, anchor)
    address = "elsewhere" if chain == "bitcoin" else forged.address
    with stage.database.transaction() as cursor:
        cursor.execute(
            "UPDATE custody_account SET anchor = %s, address = %s"
            " WHERE group_no = %s AND kind = 'hot' AND chain = %s",
            (anchor, address, GROUP, chain),
        )
    with pytest.raises(AccountDiffers):
        record(stage, statements)
    assert unmoved(stage)


def test_of_calls_at_the_same_time_one_moves_the_wallet(stage: Stage, mysql_admin: Any) -> None:
    statements = held(stage)
    gate = threading.Barrier(4)

    def meet(_: int) -> Rotated:
        mine = stage.beside(mysql_admin)
        try:
            gate.wait()
            return record(mine, statements)
        finally:
            mine.database.close()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(meet, range(4)))
    assert sorted(each.new for each in found) == [False, False, False, True]
    assert len(events(stage)) == 1
    assert holder(stage.database) == 176


def test_a_rotation_that_another_one_overtakes_is_refused_and_leaves_no_row(
    stage: Stage, mysql_admin: Any
) -> None:
    statements, further = held(stage), held(stage, NEXT)

    def overtaken() -> EvidenceKeys:
        """Asked for after everything was read, and before anything is written."""
        other = stage.beside(mysql_admin)
        try:
            assert record(other, further, 177).new
        finally:
            other.database.close()
        return scene.evidence_keys()

    with pytest.raises(RotationRefused) as caught:
        record(stage, statements, evidence_keys=overtaken)
    assert caught.value.fields["reason"] == "moved"
    assert holder(stage.database) == 177
    assert stored(stage, 176) == {}
    assert [event["details"]["set"] for event in events(stage)] == [177]


def test_the_function_records_what_the_sweep_function_then_pays(
    stage: Stage, aws_engine: Any, mysql_admin: Any
) -> None:
    environment = processes.deployed(stage, aws_engine, mysql_admin)
    address = addresses_of(stage, SPARE)["bitcoin"]
    sweep = transactions.as_event(transactions.sweep_of(GROUP, "bitcoin", SEED, address))
    body = {
        "v": 1, "trace_id": TRACE, "group": GROUP, "wallet": "hot", "target_set": 176,
        "statements": held(stage, SPARE, **scene.by_the_clock()),
    }  # fmt: skip
    function = "functions/kms/custody_rotated.py"
    told = processes.answers(
        processes.ran(
            environment,
            [
                ("functions/kms/sweep_bitcoin.py", sweep),
                (function, {**body, "statements": []}),
                (function, body),
                (function, body),
                ("functions/kms/sweep_bitcoin.py", sweep),
            ],
        )
    )
    assert [row.get("code", row["outcome"]) for row in told] == [
        "recipient_not_ours", "evidence_refused", "rotated", "rotated", "signed",
    ]  # fmt: skip
    assert told[2] == {"outcome": "rotated", "new": True, "from_set": 170, "set": 176}
    assert told[3] == {"outcome": "rotated", "new": False, "from_set": None, "set": 176}
