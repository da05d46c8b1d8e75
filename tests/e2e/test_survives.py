"""Processes die between receiving and recording; the money is credited exactly once."""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from demos.first_light.customers import BitcoinCustomer, Customer, EtherCustomer
from infra.local import Stack
from infra.local.faucet import BitcoinFaucet
from tests.e2e.scene import (
    Shop,
    held,
    log_of,
    paused,
    pay,
    process_id,
    rows,
    somebody_waits,
    transfers_of,
    wait_until,
    workers,
)

pytestmark = pytest.mark.e2e

# The fence row that every transaction of the block consumer locks first.
FENCE = "SELECT * FROM orion_moneyin.consumer_offset FOR UPDATE"


def settle_once(shop: Shop, customer: Customer, invoice: Mapping[str, Any], mined: int) -> None:
    """Mine what is missing; the invoice settles and the ledger has one credit of it."""
    customer.mine(shop.settled_count(customer.asset) - mined)
    done = shop.wait_for(invoice, "settled")
    assert transfers_of(shop.stack, invoice).count("deposit_credit") == 1
    assert [deposit["credited"] for deposit in done["deposits"]] == [True]
    wait_until(
        lambda: shop.receiver.find(str(invoice["id"]), "invoice.settled") is not None,
        "the webhook to arrive",
    )


@pytest.mark.parametrize("who", [BitcoinCustomer, EtherCustomer])
def test_the_moneyin_worker_is_killed_between_receiving_and_recording(
    shop: Shop, running_stack: Stack, who: Callable[[Stack], Customer]
) -> None:
    customer = who(running_stack)
    invoice = shop.invoice(customer.asset)
    pay(customer, invoice)
    with held(running_stack, FENCE):
        customer.mine(1)
        wait_until(lambda: somebody_waits(running_stack, "moneyin"), "moneyin to have the block")
        victims = workers(running_stack, "orion-local-moneyin-blocks")
        assert victims, "a worker that runs moneyin's block consumer"
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
    settle_once(shop, customer, invoice, 1)


def test_the_poller_is_killed_between_receiving_and_committing(
    shop: Shop, running_stack: Stack
) -> None:
    customer = BitcoinCustomer(running_stack)
    invoice = shop.invoice(customer.asset)
    pay(customer, invoice)
    pollers = [name for name in running_stack.programs() if "poller" in name]
    assert pollers
    with held(running_stack, FENCE):
        customer.mine(1)
        wait_until(lambda: somebody_waits(running_stack, "moneyin"), "moneyin to have the block")
        for name in pollers:
            running_stack.kill_program(name)
    for name in pollers:
        running_stack.run_program(running_stack.programs()[name])
    settle_once(shop, customer, invoice, 1)


def test_the_agent_is_killed_between_the_node_and_kafka(shop: Shop, running_stack: Stack) -> None:
    customer = BitcoinCustomer(running_stack)
    invoice = shop.invoice(customer.asset)
    pay(customer, invoice)
    agent, faucet = running_stack.programs()["agent-bitcoin"], BitcoinFaucet(running_stack.btcd)

    def agent_says(word: str, block_hash: str) -> bool:
        lines = log_of(running_stack, "agent-bitcoin").splitlines()
        return any(f'"{word}"' in line and block_hash in line for line in lines)

    funding = faucet.tip()[1]
    wait_until(lambda: agent_says("connected", funding), "the agent to have told of all before")
    with paused(process_id(running_stack, "kafka")):
        # The agent has the block and cannot have Kafka's acknowledgement.
        customer.mine(1)
        block = faucet.tip()[1]
        wait_until(lambda: agent_says("publishing", block), "the agent to have the block")
        assert not agent_says("connected", block)
        running_stack.kill_program("agent-bitcoin")
    running_stack.run_program(agent)
    settle_once(shop, customer, invoice, 1)


def test_kafka_is_killed_while_a_payment_is_on_its_way(shop: Shop, running_stack: Stack) -> None:
    customer = EtherCustomer(running_stack)
    invoice = shop.invoice(customer.asset)
    pay(customer, invoice)
    with held(running_stack, FENCE):
        customer.mine(1)
        wait_until(lambda: somebody_waits(running_stack, "moneyin"), "moneyin to have the block")
        running_stack.kill("kafka")
    running_stack.start("kafka")
    settle_once(shop, customer, invoice, 1)


def test_a_two_block_reorg_takes_the_payment_back_and_a_new_block_brings_it_again(
    shop: Shop, running_stack: Stack
) -> None:
    customer, faucet = BitcoinCustomer(running_stack), BitcoinFaucet(running_stack.btcd)
    invoice = shop.invoice(customer.asset)
    settled_count = shop.settled_count(customer.asset)
    pay(customer, invoice)
    blocks = faucet.mine(settled_count)
    shop.wait_for(invoice, "settled")
    assert transfers_of(running_stack, invoice) == ["deposit_credit"]

    faucet.invalidate(blocks[0])
    wait_until(
        lambda: [row["state"] for row in shop.read(invoice)["deposits"]] == ["reversed"],
        "the deposit to be reversed",
    )
    assert shop.read(invoice)["status"] == "confirming"
    wait_until(
        lambda: transfers_of(running_stack, invoice) == ["deposit_credit", "deposit_reversal"],
        "the ledger to reverse the credit by a transfer of its own",
    )
    wait_until(
        lambda: shop.receiver.find(str(invoice["id"]), "invoice.reorged") is not None,
        "a webhook about the reorg",
    )
    # The node keeps a disconnected transaction in its mempool and mines it again; the new branch is
    # longer than the old one, so here the deposit is final at once.
    faucet.mine(settled_count + 1)
    shop.wait_for(invoice, "settled")
    wait_until(
        lambda: (
            transfers_of(running_stack, invoice)
            == ["deposit_credit", "deposit_reversal", "deposit_credit", "deposit_final"]
        ),
        "the ledger to credit the payment again, once",
    )
    option = invoice["payment_options"][0]
    assert customer.chain_balance(str(option["address"])) == option["amount"]


def test_the_books_add_up_after_all_of_this(running_stack: Stack, shop: Shop) -> None:
    assert shop.api.key is not None
    sums = rows(
        running_stack,
        "SELECT asset, SUM(debits_posted) - SUM(credits_posted) FROM orion_ledger.account"
        " GROUP BY asset",
    )
    assert sums, "accounts in the ledger"
    assert all(int(difference) == 0 for _, difference in sums)
    gaps = rows(
        running_stack,
        "SELECT s.shard_no FROM orion_ledger.shard s WHERE s.next_posted - 1 <> (SELECT"
        " COUNT(DISTINCT t.number) FROM orion_ledger.transfer t WHERE t.shard_no = s.shard_no)",
    )
    assert gaps == [], "numbers without gaps"
