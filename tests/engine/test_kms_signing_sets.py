"""Registration of custody sets and the auditor's export, on a real database."""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql
import pytest

from orion.adapters.mysql.kms_signing import MySqlSetStore
from orion.chains.solana.address import address_of
from orion.chains.spend import CustodyKeys, WalletKind
from orion.errors import OrionError
from orion.kms.custody.errors import CustodianRefusal
from orion.kms.groups import CustodySet
from orion.kms.signing.errors import (
    AccountDiffers,
    CustodySetDiffers,
    KeyInTwoPlaces,
    MalformedPublicKey,
)
from orion.kms.signing.model import ExportRequest, Place, ProposedSet, SetsRequest
from orion.kms.signing.sets import CustodyExport, Page, Registered, set_digest
from tests.engine import kms_signing_processes as processes
from tests.engine import kms_signing_scene as scene
from tests.engine.custodian_scene import Issuers
from tests.engine.kms_scene import connected, outbox, rows
from tests.engine.kms_signing_scene import NETWORKS, TRACE, Rows, Stage
from tests.unit.kms_signing_keys import custody_set

pytestmark = pytest.mark.engine
GROUPS = (31, 32)


@pytest.fixture(scope="module")
def planted(aws_engine: Any, mysql_admin: Any) -> Iterator[tuple[Stage, Rows]]:
    """Two groups under sets of their own, and their rows."""
    found = scene.new_stage_on(aws_engine, mysql_admin)
    found.register()
    for group in GROUPS:
        found.plant(group, secrets.token_bytes(32))
    yield found, Rows.of(found.database)
    found.database.close()


@pytest.fixture
def stage(planted: tuple[Stage, Rows]) -> Stage:
    """The planted stage as it was."""
    found, known = planted
    known.put_back(found.database)
    return found


def register(stage: Stage, *sets: CustodySet) -> Registered:
    return scene.registering(stage.database).register(SetsRequest(scene.proposed(sets), TRACE))


def export(stage: Stage, limit: int = 500, after: Place | None = None, first: int = 0) -> Page:
    store = MySqlSetStore(stage.database, NETWORKS)
    request = ExportRequest(first, 99, limit, after, TRACE)
    return CustodyExport(store).page(request)


def told(stage: Stage) -> list[object]:
    return [
        body["subject"]
        for body in outbox(stage.database, "audit.events")
        if body["action"] == "custody_set.registered"
    ]


def sets_stored(stage: Stage) -> int:
    ((count,),) = rows(stage.database, "SELECT COUNT(*) FROM custody_set")
    return int(count)


def test_a_set_is_registered_once_with_one_event_and_a_repeat_changes_nothing(
    stage: Stage,
) -> None:
    new = custody_set(5, WalletKind.HOT)
    before = told(stage)
    assert register(stage, new) == Registered(new=(5,), known=())
    assert register(stage, new, custody_set(6, WalletKind.WARM)) == Registered((6,), (5,))
    assert told(stage)[len(before) :] == ["custody_set:5", "custody_set:6"]
    assert rows(stage.database, "SELECT COUNT(*) FROM custody_key WHERE set_no = 5") == [(10,)]


def test_a_stored_set_never_changes_its_purpose_or_a_key(stage: Stage) -> None:
    good = custody_set(5, WalletKind.HOT)
    register(stage, good)
    other = custody_set(55, WalletKind.HOT).keys
    changed = [
        CustodySet(5, WalletKind.WARM, good.keys),
        CustodySet(5, WalletKind.HOT, CustodyKeys(other.secp256k1, good.keys.ed25519)),
        CustodySet(5, WalletKind.HOT, CustodyKeys(good.keys.secp256k1, other.ed25519)),
        CustodySet(
            5,
            WalletKind.HOT,
            CustodyKeys(tuple(reversed(good.keys.secp256k1)), good.keys.ed25519),
        ),
    ]
    stored = rows(stage.database, "SELECT * FROM custody_set ORDER BY set_no")
    for bad in changed:
        with pytest.raises(CustodySetDiffers):
            register(stage, bad)
    assert rows(stage.database, "SELECT * FROM custody_set ORDER BY set_no") == stored


def test_a_key_of_one_set_is_refused_in_another_and_nothing_is_stored(stage: Stage) -> None:
    one, two = custody_set(5, WalletKind.HOT), custody_set(6, WalletKind.WARM)
    register(stage, one)
    before = sets_stored(stage)
    for keys in (
        CustodyKeys((*two.keys.secp256k1[:4], one.keys.secp256k1[0]), two.keys.ed25519),
        CustodyKeys(two.keys.secp256k1, (one.keys.ed25519[4], *two.keys.ed25519[1:])),
    ):
        with pytest.raises(KeyInTwoPlaces):
            register(stage, CustodySet(6, WalletKind.WARM, keys))
    with pytest.raises(KeyInTwoPlaces):
        register(stage, two, CustodySet(7, WalletKind.HOT, two.keys))
    off = CustodyKeys(two.keys.secp256k1, (*two.keys.ed25519[:4], bytes(32)))
    with pytest.raises(MalformedPublicKey):
        register(stage, custody_set(8, WalletKind.HOT), CustodySet(6, WalletKind.WARM, off))
    assert sets_stored(stage) == before


def test_of_two_sets_that_share_a_key_and_meet_one_is_registered(
    stage: Stage, mysql_admin: Any
) -> None:
    one, two = custody_set(5, WalletKind.HOT), custody_set(6, WalletKind.HOT)
    shared = CustodySet(
        6,
        WalletKind.HOT,
        CustodyKeys((one.keys.secp256k1[0], *two.keys.secp256k1[1:]), two.keys.ed25519),
    )
    barrier = threading.Barrier(2)

    def meet(found: CustodySet) -> str:
        database = connected(mysql_admin)
        wanted = SetsRequest(scene.proposed([found]), TRACE)
        barrier.wait(timeout=10)
        try:
            scene.registering(database).register(wanted)
        except KeyInTwoPlaces:
            return "refused"
        finally:
            database.close()
        return "registered"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(meet, (one, shared))) == ["refused", "registered"]

    # The hazard that the table of keys closes: rows of sets alone do not exclude each other.
    connection = mysql_admin.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM orion_kms.custody_set WHERE set_no IN (5, 6)")
        for found in (one, shared):
            keys = (b"".join(found.keys.secp256k1), b"".join(found.keys.ed25519))
            cursor.execute(
                "INSERT INTO orion_kms.custody_set VALUES (%s, 'hot', %s, %s, NOW(6))",
                (found.set_no, *keys),
            )
        connection.commit()
        with pytest.raises(pymysql.err.IntegrityError):
            cursor.execute(
                "INSERT INTO orion_kms.custody_key SELECT public_key, 6, 1"
                " FROM orion_kms.custody_key LIMIT 1"
            )


def bad_evidence(new: CustodySet) -> dict[str, tuple[str, object]]:
    """Name: the reason of the refusal, and what stands where two approvals should."""
    issuers, digest = scene.ISSUERS, set_digest(new)
    good = scene.approved(new)
    late = {"issued_at": "2026-01-01T00:00:00+00:00", "expires_at": "2026-01-02T03:04:05+00:00"}
    other = custody_set(new.set_no + 1, new.purpose)
    turned = CustodySet(new.set_no, WalletKind.WARM, new.keys)
    return {
        "none": ("wrong_count", []),
        "one": ("approvals_missing", good[:1]),
        "three": ("approvals_missing", scene.approved(new, ("usr_a", "usr_b", "usr_c"))),
        "one person": (
            "same_approver",
            [good[0], issuers.enrolment(digest, "usr_a", expires_at="2026-01-02T03:30:00+00:00")],
        ),
        "another set": ("about_another", scene.approved(other)),
        "another purpose": ("about_another", scene.approved(turned)),
        "expired": ("not_valid_now", [good[0], issuers.enrolment(digest, "usr_b", **late)]),
        "approvers of payouts": (
            "wrong_issuer",
            [good[0], issuers.approval(digest, "usr_b")],
        ),
        "another key": ("bad_signature", [good[0], Issuers().enrolment(digest, "usr_b")]),
    }


@pytest.mark.parametrize("name", list(bad_evidence(custody_set(5, WalletKind.HOT))))
def test_keys_that_two_people_have_not_approved_are_not_registered(stage: Stage, name: str) -> None:
    new, beside = custody_set(5, WalletKind.HOT), custody_set(15, WalletKind.HOT)
    reason, evidence = bad_evidence(new)[name]
    before = sets_stored(stage), told(stage)
    wanted = SetsRequest((*scene.proposed([beside]), ProposedSet(new, evidence)), TRACE)
    with pytest.raises(CustodianRefusal) as caught:
        scene.registering(stage.database).register(wanted)
    assert caught.value.reason == reason
    assert caught.value.part.startswith("sets[1].evidence")
    assert (sets_stored(stage), told(stage)) == before


def test_a_registered_set_is_a_no_op_whatever_became_of_its_approvals(stage: Stage) -> None:
    known = custody_set(scene.HOT_SET, WalletKind.HOT)
    evidence: list[object] = [[], None, bad_evidence(known)["expired"][1]]
    for stale in evidence:
        wanted = SetsRequest((ProposedSet(known, stale),), TRACE)
        found = scene.registering(stage.database).register(wanted)
        assert found == Registered((), (scene.HOT_SET,))
    other = CustodySet(scene.HOT_SET, WalletKind.HOT, custody_set(77, WalletKind.HOT).keys)
    with pytest.raises(CustodySetDiffers):
        register(stage, other)


def test_two_that_register_the_same_set_at_once_both_succeed(
    stage: Stage, mysql_admin: Any
) -> None:
    new = custody_set(9, WalletKind.WARM)
    wanted = SetsRequest(scene.proposed([new]), TRACE)
    barrier = threading.Barrier(4)

    def meet(_: int) -> Registered:
        database = connected(mysql_admin)
        barrier.wait(timeout=10)
        try:
            return scene.registering(database).register(wanted)
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(meet, range(4)))
    assert sorted(len(each.new) for each in found) == [0, 0, 0, 1]
    assert told(stage).count("custody_set:9") == 1


def test_the_export_describes_every_account_and_its_set(stage: Stage) -> None:
    page = export(stage)
    assert page.after is None
    named = [(row["group"], row["wallet"], row["chain"], row["set"]) for row in page.accounts]
    assert named == [
        (group, wallet, chain, {(31, "hot"): 170, (31, "warm"): 171, (32, "hot"): 174}.get(
            (group, wallet), 175))
        for group in GROUPS for wallet in ("hot", "warm") for chain in sorted(NETWORKS)
    ]  # fmt: skip
    for row in page.accounts:
        description = row["description"]
        assert isinstance(description, dict)
        assert description["threshold"] == 3
        assert row["held_by_set"] == row["set"]
        assert row["on_chain_at"] is None
        assert row["address"] == stage.custody_address(
            int(str(row["group"])), str(row["chain"]), str(row["wallet"])
        )
    assert [row["set"] for row in page.sets] == [170, 171, 174, 175]
    keys = custody_set(170, WalletKind.HOT).keys
    assert page.sets[0]["secp256k1"] == [key.hex() for key in keys.secp256k1]


@pytest.mark.parametrize("limit", [1, 3, 8, 16])
def test_pages_of_any_size_are_the_whole_export_without_gap_or_repeat(
    stage: Stage, limit: int
) -> None:
    found: list[object] = []
    after: Place | None = None
    for _ in range(20):
        page = export(stage, limit, after)
        found += page.accounts
        after = page.after
        if after is None:
            break
    assert found == list(export(stage).accounts)


def test_an_export_holds_the_groups_asked_for_only(stage: Stage) -> None:
    assert {row["group"] for row in export(stage, first=32).accounts} == {32}
    assert export(stage, first=33) == Page((), (), None)


@pytest.mark.parametrize("chain", sorted(NETWORKS))
@pytest.mark.parametrize("column", ["address", "anchor", "set"])
def test_a_row_that_was_altered_is_named_and_nothing_is_shown(
    stage: Stage, chain: str, column: str
) -> None:
    value: object = 174
    if column != "set":
        ((value,),) = rows(
            stage.database,
            f"SELECT {column} FROM custody_account"
            " WHERE group_no = 32 AND chain = %s AND kind = 'hot'",
            chain,
        )
    if column == "anchor" and chain == "bitcoin":
        return  # Nothing follows from it there.
    name = "set_no" if column == "set" else column
    if column == "anchor" and chain == "ethereum":
        value = "170:" + "11" * 32
    if column == "anchor" and chain == "solana":
        value = address_of(custody_set(901, WalletKind.HOT).keys.ed25519[0])
    if column == "set" and chain == "tron":
        value = 175  # Any hot set could hold the account; a warm one cannot.
    with stage.database.transaction() as cursor:
        cursor.execute(
            f"UPDATE custody_account SET {name} = %s"
            " WHERE group_no = 31 AND chain = %s AND kind = 'hot'",
            (value, chain),
        )
    with pytest.raises(AccountDiffers) as caught:
        export(stage)
    fields = caught.value.fields
    assert (fields["group"], fields["wallet"], fields["chain"]) == (31, "hot", chain)


def test_an_account_whose_set_is_gone_is_an_error_and_not_left_out(stage: Stage) -> None:
    with stage.database.transaction() as cursor:
        cursor.execute("UPDATE custody_account SET set_no = 999 WHERE group_no = 31")
    with pytest.raises(OrionError):
        export(stage)


def test_the_functions_register_and_export_what_an_auditor_can_compare(
    stage: Stage, aws_engine: Any, mysql_admin: Any
) -> None:
    environment = processes.deployed(stage, aws_engine, mysql_admin)
    new = custody_set(11, WalletKind.WARM)
    evidence = [
        scene.ISSUERS.enrolment(set_digest(new), person, **scene.by_the_clock())
        for person in ("usr_a", "usr_b")
    ]
    row = {
        "set": 11,
        "purpose": "warm",
        "secp256k1": [key.hex() for key in new.keys.secp256k1],
        "ed25519": [key.hex() for key in new.keys.ed25519],
        "evidence": evidence,
    }
    body = {"v": 1, "trace_id": TRACE, "sets": [row]}
    unapproved = {**body, "sets": [{**row, "set": 12}]}
    page = {"v": 1, "trace_id": TRACE, "first_group": 31, "last_group": 32, "limit": 12,
            "after": None}  # fmt: skip
    calls = [
        ("functions/kms/custody_sets.py", body),
        ("functions/kms/custody_sets.py", body),
        ("functions/kms/custody_sets.py", unapproved),
        ("functions/kms/custody_export.py", page),
    ]
    first, again, refused, exported = processes.answers(processes.ran(environment, calls))
    assert first == {"outcome": "registered", "new": [11], "known": []}
    assert again == {"outcome": "registered", "new": [], "known": [11]}
    assert (refused["code"], refused["fields"]["reason"]) == ("evidence_refused", "about_another")
    assert refused["fields"]["part"] == "sets[0].evidence[0].statement"
    assert len(exported["accounts"]) == 12
    assert exported["after"] == {"group": 32, "wallet": "hot", "chain": "tron", "set": 174}
    (rest,) = processes.answers(
        processes.ran(
            environment,
            [("functions/kms/custody_export.py", {**page, "after": exported["after"]})],
        )
    )
    assert len(rest["accounts"]) == 4
    assert rest["after"] is None
