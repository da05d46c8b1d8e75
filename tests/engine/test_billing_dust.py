"""Dust on a real database: a payment costs as much as the one before it, few of them are events,
and the sums that are kept are those of all rows.
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.adapters.mysql.session import Database
from orion.billing.errors import IllegalTransition
from orion.billing.invoice import SHOWN, Invoice
from orion.billing.model import REPORTED_CHANGES
from orion.billing.progress import InvoiceProgress
from orion.billing.sums import Sums
from orion.records import Record
from tests.engine.billing_life_facts import in_mempool, new_invoice, refund, settle, story, view
from tests.engine.billing_scene import LANES, BillingScene, scene_of

pytestmark = pytest.mark.engine
DUST = SHOWN + 30
BY_ROWS = """
SELECT d.asset, COUNT(*), SUM(IF(d.state <> 'invalid', d.units, 0)),
  SUM(IF(d.state NOT IN ('invalid', 'seen'), d.units, 0)),
  SUM(IF(d.state IN ('confirmed', 'final') AND c.transfer_id IS NOT NULL, d.units, 0)),
  SUM(IF(d.state <> 'invalid'
    AND (d.first_seen_at < i.expires_at OR COALESCE(d.block_time < i.expires_at, 0)), d.units, 0)),
  SUM(IF(d.state IN ('included', 'confirmed', 'final'), d.units, 0))
FROM orion_billing.deposit d JOIN orion_billing.invoice i ON i.invoice_id = d.invoice_id
LEFT JOIN orion_billing.deposit_credit c
  ON c.deposit_id = d.deposit_id AND c.credit_epoch = d.credit_epoch
WHERE d.invoice_id = %s GROUP BY d.asset
"""


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare()
    found.rows("DELETE FROM orion_billing.invoice_sum")
    yield found
    found.close()


def name(number: int) -> str:
    return f"{number:032x}"


def dust(scene: BillingScene, invoice_id: bytes, numbers: range, **fields: Any) -> None:
    """Payments of one unit, in batches as Kafka hands them over."""
    progress = scene.progress()
    for start in range(numbers.start, numbers.stop, 100):
        some = range(start, min(start + 100, numbers.stop))
        records = [scene.deposit(invoice_id, deposit_id=name(n), units="1", **fields) for n in some]
        progress.apply_deposits(records)


def loaded(scene: BillingScene, invoice_id: bytes) -> Invoice:
    found = MySqlBillingStore(scene.database()).transact(lambda tx: tx.invoice(invoice_id))
    assert found is not None
    return found


def of_rows(scene: BillingScene, invoice_id: bytes) -> dict[str, Sums]:
    """The sums as SQL adds them up, from the deposits and refunds alone."""
    rows = scene.rows(BY_ROWS, invoice_id)
    found = {code: Sums(*(int(part) for part in parts)) for code, *parts in rows}
    paid_back = scene.rows(
        "SELECT asset, COUNT(*), SUM(units) FROM orion_billing.invoice_refund"
        " WHERE invoice_id = %s GROUP BY asset",
        invoice_id,
    )
    for code, count, units in paid_back:
        more = Sums(refunds=int(count), refunded=int(units))
        found[code] = found.get(code, Sums()) + more
    return found


def in_a_row(scene: BillingScene, invoice_id: bytes) -> dict[str, Sums]:
    rows = scene.rows(
        "SELECT asset, deposits, standing, mined, settled, in_time, in_a_block, refunds, refunded"
        " FROM orion_billing.invoice_sum WHERE invoice_id = %s",
        invoice_id,
    )
    return {code: Sums(*(int(part) for part in parts)) for code, *parts in rows}


class Spent:
    """Rows read and statements asked on one connection since the last question."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last = self._now()

    def _now(self) -> tuple[int, int]:
        with self._database.transaction() as cursor:
            cursor.execute("SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%'")
            rows = sum(int(value) for _, value in cursor.fetchall())
            cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
            return rows, int(cursor.fetchall()[0][1])

    def since(self) -> tuple[int, int]:
        before, self._last = self._last, self._now()
        return self._last[0] - before[0], self._last[1] - before[1]


def test_a_payment_reads_as_many_rows_as_the_one_before_however_many_came(
    scene: BillingScene,
) -> None:
    invoice_id, database = new_invoice(scene), scene.database()
    progress = InvoiceProgress(MySqlBillingStore(database), lambda: scene.now, LANES)
    spent = Spent(database)

    def pay(number: int) -> tuple[int, int]:
        spent.since()
        record = scene.deposit(invoice_id, deposit_id=name(number), units="1")
        progress.apply_deposits([record])
        progress.apply_posted([scene.posted(0, name(number))])
        return spent.since()

    dust(scene, invoice_id, range(DUST))
    pay(10_000)
    rows, asked = pay(10_001)
    dust(scene, invoice_id, range(DUST, 1_500))
    more_rows, as_many = pay(10_002)
    assert as_many == asked
    assert more_rows <= rows + 10
    assert rows < 6 * SHOWN


def test_readers_of_an_invoice_and_of_lists_read_the_newest_deposits_and_no_more(
    scene: BillingScene,
) -> None:
    invoice_id, database = new_invoice(scene), scene.database()
    store = MySqlBillingStore(database)
    spent = Spent(database)

    def read() -> tuple[int, int]:
        spent.since()
        found = store.transact(lambda tx: tx.invoice(invoice_id))
        assert found is not None
        newest = [name(n) for n in range(found.deposits_count - SHOWN, found.deposits_count)]
        assert [one.deposit_id.hex() for one in found.deposits] == newest
        return spent.since()

    dust(scene, invoice_id, range(DUST))
    rows, asked = read()
    dust(scene, invoice_id, range(DUST, 1_000))
    more_rows, as_many = read()
    assert as_many == asked
    assert more_rows <= rows + 10
    shown = view(scene, invoice_id)
    assert (len(shown["deposits"]), shown["deposits_count"]) == (SHOWN, 1_000)
    assert shown["payment_options"][0]["paid"] == "0.00001000"
    assert scene.billing().invoices(b"m" * 16)["data"] == [shown]


def test_many_invoices_are_read_together_as_each_is_alone(scene: BillingScene) -> None:
    """Ordinary ones, one with as many as are shown, and so many with dust that they are read
    apart.
    """
    invoices = [new_invoice(scene, f"k{number}") for number in range(12)]
    for place, invoice_id in enumerate(invoices[:4]):
        dust(scene, invoice_id, range(place * 1_000, place * 1_000 + (1, 3, SHOWN, DUST)[place]))
    store = MySqlBillingStore(scene.database())

    def together() -> list[Invoice]:
        return list(store.transact(lambda tx: tx.lock_invoices(sorted(invoices))))

    assert together() == [loaded(scene, invoice_id) for invoice_id in sorted(invoices)]
    for place, invoice_id in enumerate(invoices[4:7], start=4):
        dust(scene, invoice_id, range(place * 1_000, place * 1_000 + SHOWN + 1))
    scene.progress().apply_posted(
        [refund(scene, invoices[0], "1", f"{number:02x}") for number in range(SHOWN + 2)]
    )
    found = together()
    assert found == [loaded(scene, invoice_id) for invoice_id in sorted(invoices)]
    assert max(len(one.deposits) for one in found) == SHOWN
    for one in found:
        assert one.sums == of_rows(scene, one.invoice_id)


def test_of_dust_only_the_first_are_events_and_what_follows_from_it_always_is(
    scene: BillingScene,
) -> None:
    invoice_id = new_invoice(scene)
    dust(scene, invoice_id, range(1_000))
    assert len(story(scene, invoice_id)) == REPORTED_CHANGES
    count = "SELECT COUNT(*) FROM orion_billing.{} WHERE {} = %s"
    assert scene.one(count.format("webhook_event", "object_id"), invoice_id) == REPORTED_CHANGES
    assert scene.one(count.format("deposit", "invoice_id"), invoice_id) == 1_000
    # A hundredth of the whole is told although the status stays.
    scene.progress().apply_deposits([scene.deposit(invoice_id, deposit_id="e1" * 16, units="417")])
    assert len(story(scene, invoice_id)) == REPORTED_CHANGES + 1
    settle(scene, invoice_id, "f1", units="41667")
    assert story(scene, invoice_id)[-3:] == ["partially_paid", "confirming", "settled"]
    assert view(scene, invoice_id)["deposits_count"] == 1_002


def any_fact(scene: BillingScene, invoices: list[bytes], step: int, draw: random.Random) -> Record:
    number, home = draw.randrange(DUST + 5), draw.choice(invoices)
    fields = {"deposit_id": name(number), "units": str(draw.randrange(1, 50_000))}
    state = draw.choice(["seen", "included", "confirmed", "final", "reversed", "invalid"])
    if state in ("seen", "invalid"):
        return in_mempool(scene, home, step, state=state, **fields)
    fields["asset"] = draw.choice(["BTC.bitcoin", "BTC.bitcoin", "ETH.ethereum"])
    return scene.deposit(home, step, state=state, credit_epoch=draw.randrange(2), **fields)


@pytest.mark.parametrize("seed", range(2))
def test_the_sums_that_are_kept_are_those_of_all_rows_after_any_history(
    scene: BillingScene, seed: int
) -> None:
    invoices = [new_invoice(scene, "k1"), new_invoice(scene, "k2")]
    dust(scene, invoices[0], range(DUST))
    draw, progress = random.Random(seed), scene.progress()  # noqa: S311 - one that can be repeated
    # What no chain can tell is refused by the table of transitions, whole; most of this is not.
    refused = 0
    for step in range(2, 28):
        record = any_fact(scene, invoices[:1] * 3 + invoices[1:], step, draw)
        act = draw.randrange(6)
        if act == 0:
            epoch, number = draw.randrange(2), draw.randrange(DUST)
            progress.apply_posted([scene.posted(epoch, name(number))])
        elif act == 1:
            progress.apply_posted([refund(scene, invoices[0], "1", f"{step:02x}")])
        else:
            refused += not applied(progress, record)
        for invoice_id in invoices:
            assert loaded(scene, invoice_id).sums == of_rows(scene, invoice_id)
    assert in_a_row(scene, invoices[0]) == of_rows(scene, invoices[0])
    assert refused < 10


def applied(progress: InvoiceProgress, record: Record) -> bool:
    try:
        progress.apply_deposits([record])
    except IllegalTransition:
        return False  # Nothing of it is stored.
    return True


def test_sums_are_right_when_facts_of_one_invoice_come_at_once(scene: BillingScene) -> None:
    invoice_id = new_invoice(scene)
    dust(scene, invoice_id, range(DUST))
    facts = [
        [scene.deposit(invoice_id, 2, deposit_id=name(n), units="2", state="confirmed")]
        for n in range(24)
    ]
    posted = [[scene.posted(0, name(n))] for n in range(24)]

    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(scene.progress().apply_deposits, some) for some in facts]
        running += [pool.submit(scene.progress().apply_posted, some) for some in posted]
        for each in running:
            each.result()
    assert in_a_row(scene, invoice_id) == of_rows(scene, invoice_id)
    assert in_a_row(scene, invoice_id)["BTC.bitcoin"].settled >= 2


def test_where_no_sums_are_kept_yet_all_rows_are_summed_and_then_kept(scene: BillingScene) -> None:
    invoice_id = new_invoice(scene)
    dust(scene, invoice_id, range(DUST))
    before = loaded(scene, invoice_id)
    scene.rows("DELETE FROM orion_billing.invoice_sum")
    assert loaded(scene, invoice_id) == before
    dust(scene, invoice_id, range(DUST, DUST + 1))
    assert in_a_row(scene, invoice_id) == of_rows(scene, invoice_id)


def test_an_invoice_with_few_deposits_keeps_no_sums_that_could_be_wrong(
    scene: BillingScene,
) -> None:
    invoice_id = new_invoice(scene)
    dust(scene, invoice_id, range(SHOWN))
    assert in_a_row(scene, invoice_id) == {}
    # An asset of which nothing is left is not kept from an earlier time.
    dust(scene, invoice_id, range(SHOWN, SHOWN + 1), asset="ETH.ethereum")
    assert set(in_a_row(scene, invoice_id)) == {"BTC.bitcoin", "ETH.ethereum"}
    other = new_invoice(scene, "k2")
    moved = scene.deposit(other, 2, deposit_id=name(SHOWN), asset="ETH.ethereum", units="1")
    scene.progress().apply_deposits([moved])
    dust(scene, invoice_id, range(SHOWN + 1, SHOWN + 3))
    assert in_a_row(scene, invoice_id) == of_rows(scene, invoice_id)
    assert set(in_a_row(scene, invoice_id)) == {"BTC.bitcoin"}
