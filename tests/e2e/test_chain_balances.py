"""Balances through the whole system: the state machine's step asks over Kafka, agents ask their
nodes, signed answers come back.

By its name before the tests of custody, which sweep real coins away from deposit addresses.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from demos.first_light.customers import BitcoinCustomer, Customer, EtherCustomer, TetherCustomer
from infra.local import Stack
from infra.local.deploy_aws import Account
from infra.local.faucet import EthereumFaucet
from orion.ids import parse_public_id
from tests.e2e.scene import Shop, paused, pay, process_id, rows, wait_until

pytestmark = pytest.mark.e2e

FINAL_BLOCKS = 6
THIEF = "0x" + "7e" * 20


def call(stack: Stack, function: str, request: Mapping[str, object]) -> Mapping[str, Any]:
    """One call of a step, as the state machine makes it."""
    aws = stack.ministack
    account = Account(aws.url, aws.region, aws.environment())
    return account.invoke(f"orion-local-log-{function}", dict(request))


def planned(stack: Stack) -> str:
    """A new run."""
    name = f"balances-{secrets.token_hex(6)}"
    call(stack, "reconcile-plan", {"run": name, "input": {}})
    return name


def differences(stack: Stack, name: str) -> list[tuple[str, str, str, str]]:
    """Kind, book, asset and what was found, of the step's differences."""
    found = rows(
        stack,
        "SELECT d.kind, d.wrong, d.asset, d.found FROM orion_log.difference d"
        " JOIN orion_log.run r ON r.run_id = d.run_id WHERE r.name = %s AND d.step = 'balances'"
        " ORDER BY d.asset, d.seq",
        (name,),
    )
    return [(str(kind), str(wrong), str(asset), str(told)) for kind, wrong, asset, told in found]


def checked(stack: Stack) -> list[tuple[str, str, str, str]]:
    """The differences of a whole step."""
    name = planned(stack)

    def done() -> bool:
        return bool(call(stack, "reconcile-balances", {"run": name})["outcome"] == "checked")

    wait_until(done, "the balances to be checked")
    return differences(stack, name)


def checked_at_last(stack: Stack) -> list[tuple[str, str, str, str]]:
    """As `checked`, without the time that a credit on its way is given: the nodes' answers are
    waited for, then the round is the last one.
    """
    name = planned(stack)
    call(stack, "reconcile-balances", {"run": name})
    waiting = (
        "SELECT 1 FROM orion_log.node_command c JOIN orion_log.run r ON r.run_id = c.subject"
        " WHERE r.name = %s AND c.outcome IS NULL"
    )
    wait_until(lambda: not rows(stack, waiting, (name,)), "the nodes to answer")
    assert call(stack, "reconcile-balances", {"run": name, "last": True})["outcome"] == "checked"
    return differences(stack, name)


@pytest.fixture(scope="module")
def paid(shop: Shop, running_stack: Stack) -> Mapping[str, Mapping[str, Any]]:
    """An invoice of each asset, paid and final."""
    invoices = {}
    for customer in customers(running_stack):
        invoice = shop.invoice(customer.asset)
        pay(customer, invoice)
        customer.mine(FINAL_BLOCKS)
        invoices[customer.asset] = shop.wait_for(invoice, "settled")
    for invoice in invoices.values():
        wait_until(partial(is_final, running_stack, invoice), "the payment to be final")
    return invoices


def customers(stack: Stack) -> tuple[Customer, ...]:
    return BitcoinCustomer(stack), EtherCustomer(stack), TetherCustomer(stack)


def is_final(stack: Stack, invoice: Mapping[str, Any]) -> bool:
    found = rows(
        stack,
        "SELECT 1 FROM orion_moneyin.deposit WHERE invoice_id = %s AND state = 'final'",
        (parse_public_id("inv", str(invoice["id"])),),
    )
    return bool(found)


def followed(stack: Stack) -> None:
    """Wait until moneyin has seen Ethereum's tip."""
    tip = int(str(EthereumFaucet(stack.anvil).call("eth_blockNumber")), 16)
    wait_until(
        lambda: (
            rows(
                stack,
                "SELECT tip_height FROM orion_moneyin.chain_cursor WHERE chain = 'ethereum'",
            )
            == [(tip,)]
        ),
        "moneyin to follow Ethereum",
    )


@contextmanager
def stolen(stack: Stack, address: str) -> Iterator[None]:
    """Somebody with an address's key takes its ether; at the end it lies there again."""
    faucet = EthereumFaucet(stack.anvil)
    before = faucet.call("eth_getBalance", address, "latest")
    faucet.call("anvil_impersonateAccount", address)
    try:
        faucet.call(
            "eth_sendTransaction",
            {"from": address, "to": THIEF, "value": "0x1", "gas": hex(21_000)},
        )
        faucet.mine(FINAL_BLOCKS)
        followed(stack)
        yield
    finally:
        faucet.call("anvil_stopImpersonatingAccount", address)
        faucet.call("anvil_setBalance", address, before)
        faucet.mine(FINAL_BLOCKS)
        followed(stack)


def test_paid_invoices_of_both_chains_lie_on_the_chains_as_the_books_say(
    running_stack: Stack, paid: Mapping[str, Mapping[str, Any]]
) -> None:
    assert set(paid) == {"BTC.bitcoin", "ETH.ethereum", "USDT.ethereum"}
    assert checked(running_stack) == []
    answered = rows(
        running_stack,
        "SELECT DISTINCT chain FROM orion_log.node_command WHERE outcome = 'done' ORDER BY chain",
    )
    assert answered == [("bitcoin",), ("ethereum",)]


def test_coins_that_left_a_deposit_address_are_named(
    running_stack: Stack, paid: Mapping[str, Mapping[str, Any]]
) -> None:
    address = str(paid["ETH.ethereum"]["payment_options"][0]["address"]).lower()
    with stolen(running_stack, address):
        found = checked(running_stack)
    assert {each[:3] for each in found} == {("balance_differs", "chain", "ETH.ethereum")}
    assert any(address in told for _, _, _, told in found)
    assert checked(running_stack) == []


def test_a_deposit_that_no_coin_stands_behind_is_named(
    running_stack: Stack, paid: Mapping[str, Mapping[str, Any]]
) -> None:
    forged = secrets.token_bytes(16)
    columns = ", ".join(
        str(row[0])
        for row in rows(
            running_stack,
            "SELECT column_name FROM information_schema.columns WHERE table_schema ="
            " 'orion_moneyin' AND table_name = 'deposit' AND column_name NOT IN"
            " ('deposit_id', 'seq', 'txid')",
        )
    )
    invoice = parse_public_id("inv", str(paid["BTC.bitcoin"]["id"]))
    with changed(
        running_stack,
        f"INSERT INTO orion_moneyin.deposit (deposit_id, txid, {columns})"
        f" SELECT %s, %s, {columns} FROM orion_moneyin.deposit WHERE invoice_id = %s",
        (forged, forged.hex() * 2, invoice),
        ("DELETE FROM orion_moneyin.deposit WHERE deposit_id = %s", (forged,)),
    ):
        found = checked_at_last(running_stack)
    kinds = {each[:3] for each in found}
    # The wallet holds less than its deposits; chain and custody account agree against them.
    assert kinds == {
        ("balance_differs", "chain", "BTC.bitcoin"),
        ("balance_differs", "cause", "BTC.bitcoin"),
    }
    assert any(forged.hex() * 2 in told for _, _, _, told in found)
    assert checked(running_stack) == []


@contextmanager
def changed(
    stack: Stack, statement: str, values: tuple[object, ...], undo: tuple[str, tuple[object, ...]]
) -> Iterator[None]:
    """A change by somebody with all rights, undone at the end."""
    connection = stack.mariadb.connect()
    connection.autocommit(True)
    try:
        with connection.cursor() as cursor:
            assert cursor.execute(statement, values) == 1
            try:
                yield
            finally:
                cursor.execute(*undo)
    finally:
        connection.close()


def test_a_chain_whose_agent_does_not_answer_is_unknown_and_not_equal(
    running_stack: Stack, paid: Mapping[str, Mapping[str, Any]]
) -> None:
    name = planned(running_stack)
    with paused(process_id(running_stack, "agent-ethereum")):
        asked = call(running_stack, "reconcile-balances", {"run": name})
        assert asked["outcome"] == "waiting"
        answer = (
            "SELECT 1 FROM orion_log.node_command c JOIN orion_log.run r ON r.run_id = c.subject"
            " WHERE r.name = %s AND c.chain = 'bitcoin' AND c.outcome = 'done'"
        )
        wait_until(lambda: bool(rows(running_stack, answer, (name,))), "Bitcoin's answer")
        last = call(running_stack, "reconcile-balances", {"run": name, "last": True})
        assert last["outcome"] == "checked"
    assert {each[:3] for each in differences(running_stack, name)} == {
        ("balance_unknown", "unknown", "ETH.ethereum"),
        ("balance_unknown", "unknown", "USDT.ethereum"),
    }
