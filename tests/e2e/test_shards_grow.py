"""The ledger gets more shards while customers pay: each payment is credited once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest

from demos.first_light.customers import EtherCustomer
from demos.first_light.merchant import balance
from demos.first_light.receiver import Receiver
from infra.local import Stack
from tests.bench.chaos import grow
from tests.e2e.scene import Shop, open_shop, pay, rows, transfers_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

SHOPS = 4  # Merchants' buckets are random: so many seldom share one shard.
ROUNDS = 4
FIRST, SECOND = 4, 8


@pytest.fixture
def shops(running_stack: Stack) -> Iterator[Sequence[Shop]]:
    """Merchants of this test alone."""
    receivers = [Receiver() for _ in range(SHOPS)]
    try:
        yield [open_shop(running_stack, receiver) for receiver in receivers]
    finally:
        for receiver in receivers:
            receiver.close()


def shards_of(stack: Stack) -> int:
    """How many shards the newest map has."""
    statement = "SELECT COUNT(DISTINCT shard_no) FROM orion_ledger.shard_map WHERE map_version ="
    [(count,)] = rows(stack, f"{statement} (SELECT MAX(map_version) FROM orion_ledger.shard_map)")
    return int(count)


def out_of_balance(stack: Stack) -> list[tuple[object, ...]]:
    """Assets whose clearing accounts are not what is in flight, as of one moment."""
    return rows(
        stack,
        "SELECT asset, SUM(units) FROM (SELECT asset, debits_posted - credits_posted AS units"
        " FROM orion_ledger.account WHERE purpose = 'clearing' UNION ALL"
        " SELECT asset, IF(side = 'debit', -units, units) FROM orion_ledger.leg"
        " WHERE applied_at IS NULL) AS sides GROUP BY asset HAVING SUM(units) <> 0",
    )


def under_way(stack: Stack) -> int:
    """Legs in flight and records held."""
    [(count,)] = rows(
        stack,
        "SELECT (SELECT COUNT(*) FROM orion_ledger.leg WHERE applied_at IS NULL)"
        " + (SELECT COUNT(*) FROM orion_ledger.held)",
    )
    return int(count)


def test_the_ledger_grows_while_invoices_are_being_paid(
    running_stack: Stack, shops: Sequence[Shop]
) -> None:
    # Another test of the session may have grown it before.
    shards = FIRST if shards_of(running_stack) < FIRST else SECOND
    customer, paid = EtherCustomer(running_stack), []
    due: defaultdict[int, Decimal] = defaultdict(Decimal)
    for number in range(ROUNDS):
        for place, shop in enumerate(shops):
            invoice = shop.invoice(customer.asset)
            pay(customer, invoice)
            paid.append((shop, invoice))
            due[place] += Decimal(str(invoice["payment_options"][0]["amount"]))
        customer.mine(1)
        if number == 1:
            grow(running_stack, shards, wait=False)
        assert out_of_balance(running_stack) == []
    grow(running_stack, shards)
    assert shards_of(running_stack) == shards
    customer.mine(8)  # All of it is final.
    for shop, invoice in paid:
        shop.wait_for(invoice, "settled")
        wait_until(
            lambda known=invoice: (  # type: ignore[misc]
                transfers_of(running_stack, known) == ["deposit_credit", "deposit_final"]
            ),
            "each payment to be credited once and to become final once",
        )
    wait_until(lambda: under_way(running_stack) == 0, "nothing to be in flight or held")
    assert out_of_balance(running_stack) == []
    for place, shop in enumerate(shops):
        assert Decimal(balance(shop.api, customer.asset)) == due[place]
    late = rows(running_stack, "SELECT * FROM orion_ledger.bucket WHERE taken = 0")
    assert late == []
    [(posting,)] = rows(
        running_stack, "SELECT COUNT(*) FROM orion_ledger.shard WHERE next_posted > 1"
    )
    assert posting > 1
