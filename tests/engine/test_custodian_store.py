"""A custodian's table under races: first the hazard without conditions, then the guard."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from orion.adapters.aws.custodian_store import DynamoCustodianStore
from orion.chains.ethereum.safe_proposals import propose_payments
from orion.chains.spend import CustodyPlace, Payment, WalletKind, custody
from orion.errors import OrionError
from orion.kms.custody.errors import (
    ConflictRefused,
    CustodianBusy,
    CustodianRefusal,
    CustodianStoreUnavailable,
    CustodySetRefused,
    SignerUnavailable,
    StateChanged,
    VelocityRefused,
)
from orion.kms.custody.model import SignDecision, Step
from orion.kms.custody.velocity import Window
from tests.engine.custodian_scene import NOW, Aws, Body, Custodians, Issuers, payout, sign_request

pytestmark = pytest.mark.engine
THREADS = 8
SHOP, ETH = "0x" + "5a" * 20, "ETH.ethereum"


@pytest.fixture(scope="module")
def aws(aws_engine: Any) -> Aws:
    return Aws(aws_engine)


@pytest.fixture
def store(aws: Aws) -> DynamoCustodianStore:
    return DynamoCustodianStore(aws.dynamodb, aws.table())


@pytest.fixture(scope="module")
def custodians(aws: Aws) -> Custodians:
    caps = {"hot": {ETH: "1000"}, "warm": {ETH: "1000"}}
    return Custodians(aws, Issuers(), velocity=caps).enrolled()


def decision(effect: str, **more: Any) -> SignDecision:
    first = SignDecision(
        step=Step.FIRST,
        effect=effect,
        members=((f"pay_{effect}", "00" * 32),),
        chain="ethereum",
        network="31337",
        wallet=WalletKind.HOT,
        version=f"version {effect}",
        claims=(f"claim {effect}",),
        taken=(f"claim {effect}",),
        versions=(),
        counted={},
        windows={},
    )
    return replace(first, **more)


def outcomes(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each job answers or raises, all begun at one moment."""
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        gate.wait(timeout=20)
        try:
            return job()
        except OrionError as exc:
            return exc

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_without_conditions_one_claim_goes_to_several_effects(aws: Aws) -> None:
    """The hazard: look first, then write, as an unguarded store would."""
    table, looked = aws.table(), threading.Barrier(2)
    key = {"pk": {"S": "claim#x"}, "sk": {"S": "claim"}}

    def take(effect: str) -> bool:
        free = "Item" not in aws.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)
        looked.wait(timeout=20)
        if free:
            aws.dynamodb.put_item(TableName=table, Item=key | {"effect": {"S": effect}})
        return free

    assert outcomes([lambda: take("a"), lambda: take("b")]) == [True, True]


@pytest.mark.parametrize(
    "shared",
    [
        {"claims": ("claim x",), "taken": ("claim x",)},
        {"members": (("pay_x", "00" * 32),)},
        {"version": "version x"},
    ],
    ids=["claim", "instruction", "version"],
)
def test_of_many_effects_that_share_something_one_is_recorded(
    store: DynamoCustodianStore, shared: dict[str, Any]
) -> None:
    taken = decision("none", **shared)
    jobs = [partial(store.record, decision(f"e{place}", **shared), NOW) for place in range(THREADS)]

    found = outcomes(jobs)

    assert found.count(None) == 1
    losers = [each for each in found if each is not None]
    assert all(isinstance(each, ConflictRefused | StateChanged) for each in losers)
    with pytest.raises(ConflictRefused):
        store.record(taken, NOW)
    place = ("ethereum", "31337", taken.version)
    assert store.remembered("none", place, WalletKind.HOT, []).effect is None


def test_an_effect_that_another_request_recorded_first_is_looked_at_again(
    store: DynamoCustodianStore,
) -> None:
    counted = {"counted": {ETH: 5}, "windows": {ETH: Window()}}
    store.record(decision("a", **counted), NOW)

    # Its instruction and claim are taken too, by itself: that is no conflict.
    with pytest.raises(StateChanged):
        store.record(decision("a"), NOW + timedelta(seconds=1))
    with pytest.raises(StateChanged):
        store.record(decision("b", **counted), NOW)


def test_a_refused_record_leaves_nothing(store: DynamoCustodianStore) -> None:
    store.record(decision("a"), NOW)
    greedy = decision(
        "b",
        claims=("claim b", "claim a"),
        taken=("claim b", "claim a"),
        counted={ETH: 5},
        windows={ETH: Window()},
    )

    with pytest.raises(ConflictRefused) as refused:
        store.record(greedy, NOW)

    assert refused.value.reason == "claim_of_other_effect"
    left = store.remembered("b", ("ethereum", "31337", "version b"), WalletKind.HOT, [ETH])
    assert (left.effect, left.version, left.windows) == (None, None, {ETH: Window()})
    store.record(decision("c", claims=("claim b",), taken=("claim b",)), NOW)


def test_of_two_next_versions_decided_on_one_state_one_is_recorded(
    store: DynamoCustodianStore,
) -> None:
    store.record(decision("a"), NOW)
    following = [
        decision("a", step=Step.NEXT, version=f"v{place}", versions=("version a",), taken=())
        for place in range(THREADS)
    ]

    found = outcomes([partial(store.record, made, NOW) for made in following])

    assert found.count(None) == 1
    assert all(each is None or isinstance(each, StateChanged) for each in found)
    known = store.remembered("a", ("ethereum", "31337", "v0"), WalletKind.HOT, []).effect
    assert known is not None
    assert len(known.versions) == 2


def test_a_claim_that_a_next_version_adds_is_its_own_and_no_other_effects(
    store: DynamoCustodianStore,
) -> None:
    store.record(decision("a"), NOW)
    store.record(decision("b"), NOW)
    grown = decision(
        "a",
        step=Step.NEXT,
        version="v2",
        versions=("version a",),
        claims=("claim a", "claim b"),
        taken=("claim b",),
    )

    with pytest.raises(ConflictRefused):
        store.record(grown, NOW)
    more: Any = {"claims": ("claim a", "claim free"), "taken": ("claim free",)}
    store.record(replace(grown, **more), NOW)
    store.record(replace(grown, version="v3", versions=("version a", "v2"), **more), NOW)
    with pytest.raises(ConflictRefused) as refused:
        store.record(decision("c", claims=("claim free",), taken=("claim free",)), NOW)
    assert refused.value.reason == "claim_of_other_effect"


def test_every_versions_expiry_is_kept_with_the_effect(store: DynamoCustodianStore) -> None:
    place = ("ethereum", "31337", "v")
    following = {"step": Step.NEXT, "taken": ()}
    store.record(decision("a", version="v1", expires_at_ms=10**12), NOW)
    store.record(decision("a", version="v2", versions=("v1",), **following), NOW)
    last = decision("a", version="v3", versions=("v1", "v2"), **following)
    store.record(replace(last, expires_at_ms=10**12 + 1), NOW)

    known = store.remembered("a", place, WalletKind.HOT, []).effect
    assert known is not None
    assert known.versions == ("v1", "v2", "v3")
    assert known.expiries == {"v1": 10**12, "v3": 10**12 + 1}


def test_a_void_looks_again_when_a_claim_or_its_version_was_taken_meanwhile(
    store: DynamoCustodianStore,
) -> None:
    store.record(decision("a"), NOW)
    seen = store.remembered("v", ("ethereum", "31337", "x"), WalletKind.HOT, [], ("claim a", "b"))
    late = decision("v", void=True, claims=("claim a", "b"), taken=("claim a", "b"))

    assert seen.holders == {"claim a": "a"}
    with pytest.raises(StateChanged):
        store.record(late, NOW)
    store.record(replace(late, taken=("b",)), NOW)
    with pytest.raises(StateChanged):
        store.record(decision("w", void=True, version="version v", taken=()), NOW)
    store.record(decision("w", void=True, version="version v", taken=(), recorded=True), NOW)
    with pytest.raises(ConflictRefused):
        store.record(replace(late, effect="z", version="z", taken=()), NOW)
    with pytest.raises(ConflictRefused):
        store.record(decision("c", claims=("b",), taken=("b",)), NOW)


def test_more_claims_than_one_call_reads_are_looked_up(store: DynamoCustodianStore) -> None:
    claims = tuple(f"coin:{place}" for place in range(150))
    store.record(decision("a", claims=claims[90:], taken=claims[90:]), NOW)

    seen = store.remembered("x", ("ethereum", "31337", "x"), WalletKind.HOT, [ETH], claims)
    assert seen.holders == dict.fromkeys(claims[90:], "a")
    assert seen.windows == {ETH: Window()}


def test_a_window_is_never_counted_on_a_state_that_has_passed(
    store: DynamoCustodianStore,
) -> None:
    first = {"counted": {ETH: 5}, "windows": {ETH: Window()}}

    found = outcomes(
        [partial(store.record, decision(f"e{place}", **first), NOW) for place in range(THREADS)]
    )

    assert found.count(None) == 1
    seen = store.remembered("x", ("ethereum", "1", "x"), WalletKind.HOT, [ETH]).windows
    assert seen is not None
    assert seen[ETH].spent(NOW) == 5
    warm = store.remembered("x", ("ethereum", "1", "x"), WalletKind.WARM, [ETH]).windows
    assert warm == {ETH: Window()}


def test_units_beyond_a_database_number_are_kept_exactly(store: DynamoCustodianStore) -> None:
    huge = 2**256 - 1
    store.record(decision("a", counted={ETH: huge}, windows={ETH: Window()}), NOW)

    seen = store.remembered("x", ("ethereum", "1", "x"), WalletKind.HOT, [ETH]).windows
    assert seen is not None
    assert seen[ETH].spent(NOW) == huge


def test_the_first_signatures_stay(store: DynamoCustodianStore) -> None:
    store.record(decision("a"), NOW)
    place = ("ethereum", "31337", "version a")

    found = outcomes(
        [partial(store.keep_signatures, place, [bytes([mark]) * 65]) for mark in range(THREADS)]
    )

    assert len(set(found)) == 1
    known = store.remembered("a", place, WalletKind.HOT, []).version
    assert known is not None
    assert known.signatures == found[0]
    with pytest.raises(CustodianStoreUnavailable):
        store.keep_signatures(("ethereum", "31337", "unknown"), [bytes(65)])


def test_a_set_is_enrolled_once_and_its_keys_have_one_purpose(
    store: DynamoCustodianStore, custodians: Custodians
) -> None:
    hot = custodians.sets[1]
    other = replace(custodians.sets[3], set_no=1)

    found = outcomes([lambda: store.enrol(hot), lambda: store.enrol(other)])

    kept = store.enrolled(1)
    assert kept in (hot, other)
    assert all(each == kept or isinstance(each, StateChanged) for each in found)
    assert store.enrol(hot) == kept
    assert kept is not None
    with pytest.raises(CustodySetRefused) as refused:
        store.enrol(replace(kept, set_no=9, purpose=WalletKind.WARM))
    assert refused.value.reason == "key_of_other_purpose"
    assert store.enrolled(9) is None


def request(custodians: Custodians, nonce: int, units: int) -> Body:
    place = CustodyPlace("ethereum", "31337", 7, WalletKind.HOT, 1)
    account = custody("ethereum").account(place, custodians.sets[1].keys, "")
    asked = custodians.issuers.asked(payout("ethereum", ETH, SHOP, units, account=account.address))
    unsigned = propose_payments(account, nonce, [Payment(ETH, SHOP, units)], {})
    return sign_request(unsigned, [asked])


def test_one_request_from_many_sides_has_one_signature(custodians: Custodians) -> None:
    asked = request(custodians, 100, 1)

    found = outcomes([lambda: custodians.service(1).sign(asked).signatures for _ in range(THREADS)])

    assert len(set(found)) == 1
    assert custodians.services[1].sign(asked).signatures == found[0]
    table = custodians.tables[1]
    kept = DynamoCustodianStore(custodians.aws.dynamodb, table)
    windows = kept.remembered("", ("", "", ""), WalletKind.HOT, [ETH]).windows
    assert windows is not None
    assert windows[ETH].spent(NOW) == 1


def test_two_that_sign_one_version_at_once_answer_the_signature_that_is_kept(
    custodians: Custodians,
) -> None:
    asked = request(custodians, 150, 1)
    cut_off, meeting = custodians.aws.client("kms"), threading.Barrier(2)

    def refuse(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="kms")

    cut_off.meta.events.register("before-call.kms.Sign", refuse)
    with pytest.raises(SignerUnavailable):
        custodians.service(4, kms=cut_off).sign(asked)
    slow = custodians.aws.client("kms")
    slow.meta.events.register("after-call.kms.Sign", lambda **_: meeting.wait(timeout=20) and None)

    found = outcomes([partial(custodians.service(4, kms=slow).sign, asked) for _ in range(2)])

    assert found[0].signatures == found[1].signatures
    assert {answer.step for answer in found} == {Step.REPEAT}


def test_of_two_payouts_with_one_nonce_one_is_signed(custodians: Custodians) -> None:
    for nonce in range(200, 206):
        rivals = [request(custodians, nonce, units) for units in (1, 2)]

        found = outcomes([partial(custodians.services[2].sign, r) for r in rivals])

        refused = [each for each in found if isinstance(each, CustodianRefusal)]
        assert [each.reason for each in refused] == ["claim_of_other_effect"]


def test_no_race_signs_for_more_than_the_cap(custodians: Custodians) -> None:
    requests = [request(custodians, 300 + place, 150) for place in range(12)]

    found = outcomes([partial(custodians.services[3].sign, r) for r in requests])

    kinds = (VelocityRefused, CustodianBusy)
    signed = [each for each in found if not isinstance(each, kinds)]
    assert all(not isinstance(each, Exception) for each in signed)
    assert 1 <= len(signed) <= 6
    kept = DynamoCustodianStore(custodians.aws.dynamodb, custodians.tables[3])
    windows = kept.remembered("", ("", "", ""), WalletKind.HOT, [ETH]).windows
    assert windows is not None
    assert windows[ETH].spent(NOW) == 150 * len(signed)
    assert windows[ETH].spent(NOW + timedelta(hours=25)) == 0


def test_a_store_that_does_not_answer_is_unavailable(aws: Aws) -> None:
    silent = aws.client(
        "dynamodb",
        url="http://127.0.0.1:1",
        connect_timeout=1,
        retries={"mode": "standard", "max_attempts": 2},
    )
    unreachable = DynamoCustodianStore(silent, "x")
    with pytest.raises(CustodianStoreUnavailable):
        unreachable.enrolled(1)
    with pytest.raises(CustodianStoreUnavailable):
        unreachable.record(decision("a"), NOW)
