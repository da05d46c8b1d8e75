"""Whatever merchants, senders and time do, in whatever order: places, order and an end for
everything. A random walk over the real dispatch and a real database.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orion.billing import webhook_dispatch
from orion.billing.delivery import ANSWER_WITHIN, OPEN, Endpoint, Outcome
from orion.billing.errors import (
    AttemptLimit,
    DeliveryUnderWay,
    EndpointClosing,
    EndpointDisabled,
    EndpointNotFound,
)
from orion.billing.ports import Transaction
from orion.billing.webhook_endpoints import Changed
from orion.billing.webhook_pace import PLACES, Lane
from orion.records import parse_json
from tests.engine.billing_scene import MERCHANT, TRACE, BillingScene, keyed, scene_of
from tests.engine.webhook_scene import SLOW_MS, result_of, store, tell

pytestmark = pytest.mark.engine
TABLES = ("webhook_endpoint", "webhook_delivery", "webhook_attempt", "webhook_event", "outbox")
BEGINNING = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LANE_OF = {"sqs:webhooks": Lane.FAST, "sqs:webhooks-slow": Lane.SLOW}
THINGS = st.integers(1, 2)
ANY = st.integers(0, 10**6)
ANSWERS = st.sampled_from(
    [
        (Outcome.DELIVERED, {"status": 204}),
        (Outcome.DELIVERED, {"status": 204, "duration_ms": SLOW_MS}),
        (Outcome.FAILED, {"status": 500, "error": "status"}),
        (Outcome.FAILED, {"error": "timed_out", "duration_ms": SLOW_MS}),
        (Outcome.FAILED, {"status": 410, "error": "status"}),
        (Outcome.REFUSED, {"error": "secret_unusable"}),
    ]
)
PAUSES = st.sampled_from([5, 60, 300, 16 * 60, 86_400])
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a sender has, and has not answered."""

    task: Mapping[str, Any]
    lane: Lane
    at: datetime

    @property
    def key(self) -> Key:
        return self.task["delivery_id"], self.task["attempt"]


class Stage:
    """What all walks use, one connection each."""

    def __init__(self, scene: BillingScene) -> None:
        self.scene, self.store, self.endpoints = scene, store(scene), scene.endpoints()
        self.deliveries, self.log = scene.deliveries(), scene.delivery_log()


class Webhooks(RuleBasedStateMachine):
    """One merchant. `writing` is a transaction that has seen the endpoints and is slow to store."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        for table in TABLES:
            stage.scene.rows(f"DELETE FROM orion_billing.{table}")
        self.scene, self.store, self.endpoints = stage.scene, stage.store, stage.endpoints
        self.scene.now = BEGINNING
        self.deliveries, self.log = stage.deliveries, stage.log
        self.numbers = {1: 0, 2: 0}
        self.out: dict[Key, Sent] = {}
        self.seen: list[Sent] = []
        self.last_attempts: set[Key] = set()
        self.last_seq, self.made, self.keys = 0, 0, 0
        self.writing: tuple[int, Sequence[Endpoint]] | None = None
        self.ids: list[bytes] = []
        for _ in range(2):
            self.add_endpoint()

    def add_endpoint(self) -> None:
        self.made += 1
        url, types = "https://shop.example.com/h", frozenset({"*"})
        endpoint = Endpoint(bytes([self.made]) * 16, MERCHANT, url, types, b"c")
        self.store.transact(lambda tx: tx.add_endpoint(endpoint, self.scene.now))
        self.ids.append(endpoint.endpoint_id)

    @rule(thing=THINGS)
    def something_happens(self, thing: int) -> None:
        if self.writing is None or self.writing[0] != thing:
            self.store.transact(lambda tx: self.write(tx, thing, self.open_ones(tx)))

    @precondition(lambda self: self.writing is None)
    @rule(thing=THINGS)
    def somebody_begins_to_write(self, thing: int) -> None:
        self.writing = thing, self.store.transact(self.open_ones)

    @precondition(lambda self: self.writing is not None)
    @rule()
    def and_stores(self) -> None:
        assert self.writing is not None
        (thing, wanting), self.writing = self.writing, None
        self.store.transact(lambda tx: self.write(tx, thing, wanting))

    def open_ones(self, tx: Transaction) -> Sequence[Endpoint]:
        return [one for one in tx.endpoints(MERCHANT) if one.open]

    def write(self, tx: Transaction, thing: int, wanting: Sequence[Endpoint]) -> None:
        self.numbers[thing] += 1
        tell(tx, self.scene, thing, self.numbers[thing], wanting)

    @rule()
    def the_dispatcher_comes(self) -> None:
        self.deliveries.dispatch(MERCHANT)
        self.collect()

    @precondition(lambda self: self.out)
    @rule(which=ANY, answer=ANSWERS)
    def a_sender_answers(self, which: int, answer: tuple[Outcome, dict[str, Any]]) -> None:
        sent = list(self.out.values())[which % len(self.out)]
        self.apply(sent, answer)

    @precondition(lambda self: self.seen)
    @rule(which=ANY, answer=ANSWERS)
    def a_sender_answers_again(self, which: int, answer: tuple[Outcome, dict[str, Any]]) -> None:
        self.apply(self.seen[which % len(self.seen)], answer)

    def apply(self, sent: Sent, answer: tuple[Outcome, dict[str, Any]]) -> None:
        outcome, said = answer
        self.deliveries.apply(result_of(sent.task, outcome, **said))
        self.out.pop(sent.key, None)
        self.collect()

    @rule(seconds=PAUSES)
    def time_passes(self, seconds: int) -> None:
        self.scene.now += timedelta(seconds=seconds)
        self.deliveries.dispatch_due(b"")
        self.deliveries.give_up_orphans(b"")
        self.collect()

    @rule(which=ANY, turns=st.sampled_from([[False], [True], [False, True]]))
    def the_merchant_switches(self, which: int, turns: list[bool]) -> None:
        endpoint_id = self.ids[which % len(self.ids)]
        for on in turns:
            try:
                self.endpoints.change(MERCHANT, endpoint_id, Changed(enabled=on), trace_id=TRACE)
            except (EndpointNotFound, EndpointClosing):
                return
            self.collect()
            if not on:
                self.never_again(endpoint_id)

    def never_again(self, endpoint_id: bytes) -> None:
        out = [key for key, one in self.out.items() if one.task["endpoint_id"] == endpoint_id.hex()]
        self.last_attempts.update(out)

    @precondition(lambda self: self.made < 6)
    @rule(which=ANY)
    def the_merchant_deletes_one_and_adds_one(self, which: int) -> None:
        try:
            self.endpoints.delete(MERCHANT, self.ids[which % len(self.ids)], trace_id=TRACE)
        except EndpointNotFound:
            return
        self.collect()
        self.never_again(self.ids[which % len(self.ids)])
        self.add_endpoint()

    @precondition(lambda self: self.seen)
    @rule(which=ANY)
    def the_merchant_asks_for_a_redelivery(self, which: int) -> None:
        self.keys += 1
        delivery_id = bytes.fromhex(self.seen[which % len(self.seen)].task["delivery_id"])
        before, self.last_attempts = (
            self.last_attempts,
            {key for key in self.last_attempts if key[0] != delivery_id.hex()},
        )
        try:
            self.log.redeliver(keyed(f"{id(self)}-{self.keys}"), delivery_id)
        except (DeliveryUnderWay, EndpointDisabled, AttemptLimit):
            self.last_attempts = before
            return
        self.collect()

    def all_is_well(self) -> None:
        shares = self.shares()
        for _ in range(200):
            well = [one for one in self.out.values() if one.task["endpoint_id"] in shares]
            if not well:
                return
            self.apply(well[0], (Outcome.DELIVERED, {"status": 204}))
        raise AssertionError("more was sent than there is", self.out)

    def collect(self) -> None:
        """What left for the senders in this step went to open endpoints and within their shares,
        and the merchant has no more out than it may.
        """
        rows = self.scene.rows(
            "SELECT seq, destination, payload FROM orion_billing.outbox WHERE seq > %s"
            " AND destination LIKE 'sqs:webhooks%%' ORDER BY seq",
            self.last_seq,
        )
        for seq, destination, payload in rows:
            self.last_seq = seq
            sent = Sent(parse_json(payload), LANE_OF[destination], self.scene.now)
            assert sent.key not in self.out
            assert (sent.key[0], sent.key[1] - 1) not in self.last_attempts
            self.out[sent.key] = sent
            self.seen.append(sent)
        self.forget_what_ended()
        shares = self.shares()
        new = {self.seen[-1 - n].task["endpoint_id"] for n in range(len(rows))}
        for endpoint_id in new:
            taken = [one for one in self.out.values() if one.task["endpoint_id"] == endpoint_id]
            assert len(taken) <= shares[endpoint_id]
        for lane in Lane:
            assert sum(one.lane == lane for one in self.out.values()) <= PLACES[lane]

    def forget_what_ended(self) -> None:
        """Nobody counts on an answer that did not come in time, nor waits for a further attempt of
        what was delivered.
        """
        delivered = {row[0] for row in self.rows() if row[3] == "delivered"}
        for key, sent in list(self.out.items()):
            if sent.at + ANSWER_WITHIN <= self.scene.now or bytes.fromhex(key[0]) in delivered:
                del self.out[key]

    def shares(self) -> Mapping[str, int]:
        """Of the open endpoints."""
        rows = self.scene.rows(
            "SELECT endpoint_id, share FROM orion_billing.webhook_endpoint"
            " WHERE disabled_reason IS NULL AND slot IS NOT NULL"
        )
        return {row[0].hex(): row[1] for row in rows}

    def rows(self) -> list[tuple[Any, ...]]:
        return self.scene.rows(
            "SELECT delivery_id, endpoint_id, object_id, state, attempt, number, schedule_from"
            " FROM orion_billing.webhook_delivery"
        )

    @invariant()
    def what_is_queued_is_what_the_senders_have(self) -> None:
        queued = {(row[0].hex(), row[4]) for row in self.rows() if row[3] == "queued"}
        assert queued == set(self.out)

    @invariant()
    def of_each_object_the_first_is_on_its_way_and_the_others_wait_for_it(self) -> None:
        shares = self.shares()
        lines: dict[tuple[bytes, bytes], list[tuple[int, str]]] = {}
        for _, endpoint_id, thing, state, _, number, schedule_from in self.rows():
            if endpoint_id.hex() in shares and state in OPEN and schedule_from == 0:
                lines.setdefault((endpoint_id, thing), []).append((number, state))
        for line in lines.values():
            _, *behind = [state for _, state in sorted(line)]
            assert min(line)[1] != "held"
            assert set(behind) <= {"held"}

    def teardown(self) -> None:
        """The open endpoints are well from now on, and nobody answers for the others."""
        if self.writing is not None:
            self.and_stores()
        left, gone = list[Any](), list[Any]()
        for _ in range(40):
            self.all_is_well()
            self.time_passes(86_400)
            left = [row for row in self.rows() if row[3] in OPEN]
            gone = self.scene.rows(
                "SELECT 1 FROM orion_billing.webhook_endpoint WHERE slot IS NULL"
            )
            if not left and not gone:
                return
        raise AssertionError("something stays for ever", left, gone)


@pytest.fixture
def scene(mysql_admin: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[BillingScene]:
    # So few that closing rarely ends in one transaction, and places are taken.
    monkeypatch.setattr(webhook_dispatch, "CLOSED_AT_ONCE", 2)
    monkeypatch.setattr(webhook_dispatch, "CLOSING_ROUNDS", 1)
    for lane, places in ((Lane.FAST, 3), (Lane.SLOW, 2)):
        monkeypatch.setitem(cast("dict[Lane, int]", PLACES), lane, places)
    found = scene_of(mysql_admin)
    found.prepare(wallets=0)
    yield found
    found.close()


def test_places_order_and_an_end_for_everything_whatever_happens(scene: BillingScene) -> None:
    stage = Stage(scene)

    class Walk(Webhooks):
        def __init__(self) -> None:
            super().__init__(stage)

    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.generate],  # To shrink a walk over a database takes minutes.
            suppress_health_check=list(HealthCheck),
        ),
    )
