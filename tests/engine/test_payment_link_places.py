"""Counters of payment links on a real database: they say what the rows say, whatever happens, and
cost the same however many places are taken.
"""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from orion.adapters.mysql.billing_sessions import MySqlSalesStore
from orion.billing.errors import InvoiceNotCancellable, NoAddressAvailable
from orion.billing.model import InvoiceStatus
from orion.billing.payment_links.errors import PaymentLinkBusy, PaymentLinkUsedUp
from orion.billing.payment_links.model import place_of
from orion.billing.payment_links.service import LinkChange
from orion.billing.payment_links.visiting import LinkVisits
from tests.engine.billing_life_facts import cancel, in_mempool
from tests.engine.billing_scene import MERCHANT, TRACE
from tests.engine.sales_scene import SalesScene, sales_scene

pytestmark = pytest.mark.engine
ANN, BOB, CEM = b"a" * 16, b"b" * 16, b"c" * 16
Counters = tuple[int, int]


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[SalesScene]:
    with sales_scene(mysql_admin) as found:
        yield found


def counters(scene: SalesScene, link_id: bytes) -> Counters:
    sql = "SELECT held, unpaid FROM orion_billing.payment_link WHERE link_id = %s"
    held, unpaid = scene.billing.rows(sql, link_id)[0]
    return held, unpaid


def counted(scene: SalesScene, link_id: bytes) -> Counters:
    """What the rows come to, one by one."""
    sql = "SELECT held, until FROM orion_billing.payment_link_invoice WHERE link_id = %s"
    rows = scene.billing.rows(sql, link_id)
    return sum(held == 1 for held, _ in rows), sum(until is not None for _, until in rows)


def implied(scene: SalesScene, link_id: bytes) -> Counters:
    """What the statuses of the link's invoices come to, by the model."""
    sql = (
        "SELECT i.status, i.expires_at, p.held FROM orion_billing.payment_link_invoice p"
        " JOIN orion_billing.invoice i ON i.invoice_id = p.invoice_id WHERE p.link_id = %s"
    )
    now = scene.billing.now
    places = [
        (limited, place_of(InvoiceStatus(status), expires_at.replace(tzinfo=now.tzinfo), now))
        for status, expires_at, limited in scene.billing.rows(sql, link_id)
    ]
    return (
        sum(limited is not None and place.held for limited, place in places),
        sum(place.until is not None for _, place in places),
    )


def deposit(scene: SalesScene, invoice_id: bytes, **fields: Any) -> None:
    whole = {"deposit_id": invoice_id.hex(), **fields}
    record = scene.billing.deposit(invoice_id, **whole)
    scene.billing.progress().apply_deposits([record])


def test_a_place_comes_back_from_an_invoice_that_ended_without_money(scene: SalesScene) -> None:
    link_id = scene.link(use_limit=2, expires_in_s=60)
    first, second = scene.pay(link_id, ANN), scene.pay(link_id, BOB)
    deposit(scene, second)
    with pytest.raises(PaymentLinkUsedUp):
        scene.pay(link_id, CEM)
    scene.billing.now += timedelta(seconds=60)
    assert scene.billing.progress().expire() == 1
    assert scene.view(link_id)["uses"] == 1
    third = scene.pay(link_id, CEM)
    # Paid late after its place was given away: money is never refused, and whose money came holds.
    deposit(scene, first)
    assert (scene.view(link_id)["uses"], scene.view(link_id)["status"]) == (3, "used_up")
    with pytest.raises(PaymentLinkUsedUp):
        scene.pay(link_id, b"d" * 16)
    assert scene.pay(link_id, CEM) == third


def test_an_invoice_that_died_gives_its_place_back_with_its_time(scene: SalesScene) -> None:
    link_id = scene.link(use_limit=1, expires_in_s=60)
    invoice_id = scene.pay(link_id, ANN)
    deposit(scene, invoice_id, state="invalid", block_time=None)
    assert counters(scene, link_id) == (1, 1), "its customer may pay again"
    scene.billing.now += timedelta(seconds=60)
    assert scene.billing.progress().expire() == 0, "its status stays"
    assert scene.billing.status(invoice_id) == "invalid"
    assert counters(scene, link_id) == counted(scene, link_id) == (0, 0)
    scene.pay(link_id, BOB)


def test_a_limit_counts_from_the_moment_it_is_set(scene: SalesScene) -> None:
    link_id = scene.link()
    before = scene.pay(link_id, ANN)
    limit = LinkChange(frozenset({"use_limit"}), use_limit=1)
    scene.links().change(MERCHANT, link_id, limit, trace_id=TRACE)
    assert counters(scene, link_id) == (0, 1)
    scene.pay(link_id, BOB)
    cancel(scene.billing, before)
    assert counters(scene, link_id) == counted(scene, link_id) == (1, 1)


def test_invoices_of_a_link_that_wait_for_money_are_bounded_and_paid_ones_are_not(
    scene: SalesScene,
) -> None:
    link_id, billing = scene.link(), scene.billing

    def pay(visitor: bytes) -> bytes:
        store = MySqlSalesStore(billing.database())
        visits = LinkVisits(store, billing.billing(), lambda: billing.now, lambda n: b"r" * n, 2)
        return visits.pay(link_id, visitor, "", language="en", trace_id=TRACE)

    first = pay(ANN)
    pay(BOB)
    with pytest.raises(PaymentLinkBusy):
        pay(CEM)
    assert pay(ANN) == first, "who has one keeps it"
    assert scene.taken_wallets() == 2
    deposit(scene, first, state="seen", block_time=None)
    pay(CEM)
    with pytest.raises(PaymentLinkBusy):
        pay(b"d" * 16)
    billing.now += timedelta(seconds=900)
    billing.progress().expire()
    assert counters(scene, link_id) == counted(scene, link_id) == (0, 0)
    pay(b"d" * 16)


def test_many_at_once_never_pass_the_bound_of_waiting_invoices(scene: SalesScene) -> None:
    link_id, billing = scene.link(), scene.billing

    def visit(number: int) -> bool:
        store = MySqlSalesStore(billing.database())
        visits = LinkVisits(store, billing.billing(), lambda: billing.now, lambda n: b"r" * n, 5)
        with suppress(PaymentLinkBusy, PaymentLinkUsedUp):
            visits.pay(link_id, bytes([number]) * 16, "", language="en", trace_id=TRACE)
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(visit, range(24))) == 5
    assert scene.taken_wallets() == scene.invoices() == 5
    assert counters(scene, link_id) == counted(scene, link_id) == (0, 5)


class History:
    """Whatever may happen to the invoices of some links, in any order."""

    def __init__(self, scene: SalesScene, links: list[bytes], seed: int) -> None:
        self.scene = scene
        self.links = links
        self.random = random.Random(seed)  # noqa: S311 - a history that can be repeated
        self.made: list[bytes] = []
        self.version = 0

    def pay(self) -> None:
        visitor = self.random.randbytes(16)
        with suppress(PaymentLinkUsedUp, NoAddressAvailable):
            self.made.append(self.scene.pay(self.random.choice(self.links), visitor))

    def move(self) -> None:
        if not self.made:
            return
        invoice_id, billing = self.random.choice(self.made), self.scene.billing
        self.version += 1
        facts = {
            "deposit_id": invoice_id.hex(),
            "units": self.random.choice(["1", "41667", "50000"]),
        }
        state = self.random.choice(["seen", "included", "confirmed", "reversed", "invalid"])
        if state in ("seen", "invalid"):
            record = in_mempool(billing, invoice_id, self.version, state=state, **facts)
        else:
            record = billing.deposit(invoice_id, self.version, state=state, **facts)
        billing.progress().apply_deposits([record])

    def end(self) -> None:
        if self.made:
            with suppress(InvoiceNotCancellable):
                invoice_id = self.random.choice(self.made)
                cancel(self.scene.billing, invoice_id, self.random.randbytes(8).hex())

    def wait(self) -> None:
        self.scene.billing.now += timedelta(seconds=self.random.choice([1, 20, 61]))
        self.scene.billing.progress().expire()


@pytest.mark.parametrize("seed", range(3))
def test_counters_say_what_rows_and_statuses_say_after_any_history(
    scene: SalesScene, seed: int
) -> None:
    links = [scene.link(use_limit=3, expires_in_s=60), scene.link(expires_in_s=60)]
    history = History(scene, links, seed)
    acts: list[Callable[[], None]] = [history.pay, history.pay, history.move, history.move]
    for _ in range(40):
        history.random.choice([*acts, history.end, history.wait])()
        for link_id in links:
            assert counters(scene, link_id) == counted(scene, link_id)
    history.wait()
    for link_id in links:
        assert counters(scene, link_id) == counted(scene, link_id) == implied(scene, link_id)


def test_counters_stay_right_while_everything_happens_at_once(scene: SalesScene) -> None:
    links = [scene.link(use_limit=4, expires_in_s=60) for _ in range(2)]
    made = [scene.pay(link_id, bytes([n]) * 16) for n in range(4) for link_id in links]
    scene.billing.now += timedelta(seconds=60)

    def money(number: int) -> None:
        deposit(scene, made[number], deposit_id=f"{number:032x}")

    def visit(number: int) -> None:
        with suppress(PaymentLinkUsedUp, NoAddressAvailable):
            scene.pay(links[number % 2], bytes([100 + number]) * 16)

    with ThreadPoolExecutor(8) as pool:
        running: list[Future[Any]] = [pool.submit(money, number) for number in range(0, 8, 2)]
        running += [pool.submit(visit, number) for number in range(8)]
        running += [pool.submit(scene.billing.progress().expire) for _ in range(3)]
        for each in running:
            each.result()
    scene.billing.progress().expire()
    for link_id in links:
        assert counters(scene, link_id) == counted(scene, link_id) == implied(scene, link_id)


def test_what_old_code_ended_gives_its_place_back_with_the_next_pass(scene: SalesScene) -> None:
    link_id = scene.link(use_limit=2, expires_in_s=60)
    ended, paid = scene.pay(link_id, ANN), scene.pay(link_id, BOB)
    for invoice_id, status in ((ended, "expired"), (paid, "settled")):
        scene.billing.rows(
            "UPDATE orion_billing.invoice SET status = %s, wakes_at = NULL WHERE invoice_id = %s",
            status,
            invoice_id,
        )
    # The facts of a settled one, so that its status is what they imply.
    deposit(scene, paid, state="confirmed")
    scene.billing.rows("UPDATE orion_billing.payment_link_invoice SET until = '2026-01-02'")
    scene.billing.rows("UPDATE orion_billing.payment_link SET held = 2, unpaid = 2")
    scene.billing.now += timedelta(seconds=60)
    scene.billing.progress().expire()
    assert counters(scene, link_id) == counted(scene, link_id) == (1, 0)


def test_taking_a_place_reads_as_few_rows_of_a_full_link_as_of_an_empty_one(
    scene: SalesScene,
) -> None:
    empty, full = scene.link(use_limit=10_000), scene.link(use_limit=10_000)
    rows = [(full, number.to_bytes(16, "big")) for number in range(1_000)]
    database = scene.billing.database()
    with database.transaction() as cursor:
        cursor.executemany(
            "INSERT INTO payment_link_invoice (link_id, invoice_id, held) VALUES (%s, %s, 1)", rows
        )
        cursor.execute("UPDATE payment_link SET held = 1000 WHERE link_id = %s", (full,))
    visits = LinkVisits(
        MySqlSalesStore(database),
        scene.billing.billing(),
        lambda: scene.billing.now,
        lambda n: b"r" * n,
    )

    def read(link_id: bytes) -> int:
        def handler_reads() -> int:
            with database.transaction() as cursor:
                cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
                return sum(int(value) for _, value in cursor.fetchall())

        before = handler_reads()
        visits.pay(link_id, ANN, "", language="en", trace_id=TRACE)
        assert visits.look(link_id, None).link.held == (1_001 if link_id == full else 1)
        return handler_reads() - before

    read_of_empty = read(empty)
    assert read(full) <= read_of_empty + 5
