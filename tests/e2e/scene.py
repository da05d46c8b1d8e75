"""A shop on the running stack, and the means to interrupt the system between two of its steps."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demos.first_light.customers import Customer
from demos.first_light.merchant import Api, register
from demos.first_light.receiver import Receiver
from infra.local import Stack
from infra.local.deployed import confirmations_settled, standard_url
from orion.ids import parse_public_id

RATES = {"BTC.bitcoin": "60000.00", "ETH.ethereum": "2500.00", "USDT.ethereum": "0.93"}
# A relay whose Kafka was away is woken by the schedule, once a minute; a payment takes two relays.
PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Shop:
    """One merchant with rates, a webhook endpoint and a key of every scope a shop needs."""

    stack: Stack
    api: Api
    receiver: Receiver

    def invoice(self, asset: str, amount: str = "25.00") -> Mapping[str, Any]:
        """A new invoice payable in one asset."""
        body = {"amount": amount, "currency": "EUR", "assets": [asset]}
        return self.api.call("POST", "/v1/invoices", body)

    def read(self, invoice: Mapping[str, Any]) -> Mapping[str, Any]:
        """The invoice as it stands now."""
        return self.api.call("GET", f"/v1/invoices/{invoice['id']}")

    def wait_for(self, invoice: Mapping[str, Any], status: str) -> Mapping[str, Any]:
        """The invoice once it has this status."""
        wait_until(lambda: self.read(invoice)["status"] == status, f"the invoice to be {status}")
        return self.read(invoice)

    def settled_count(self, asset: str) -> int:
        """Blocks that settle an invoice in this asset."""
        return confirmations_settled(self.stack, asset.partition(".")[2])


def open_shop(stack: Stack, receiver: Receiver) -> Shop:
    """Over HTTP only, as any merchant."""
    api = register(standard_url(stack), "Test shop")
    for asset, rate in RATES.items():
        api.call("PUT", f"/v1/rates/{asset}/EUR", {"rate": rate})
    made = api.call("POST", "/v1/webhook-endpoints", {"url": receiver.url, "events": ["*"]})
    receiver.trust(str(made["secret"]))
    return Shop(stack, api, receiver)


def pay(customer: Customer, invoice: Mapping[str, Any]) -> str:
    """Fund the customer, send exactly what is asked; the transaction's id. Not mined."""
    option = invoice["payment_options"][0]
    customer.fund(str(option["amount"]))
    return customer.pay(str(option["address"]), str(option["amount"]))


def wait_until(look: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Look until it is so; `what` is what was expected of the product."""
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline, f"expected within {timeout_s:.0f} s: {what}"
        time.sleep(0.05)


def rows(
    stack: Stack, statement: str, parameters: tuple[object, ...] = ()
) -> list[tuple[Any, ...]]:
    """What the database says, asked as its administrator."""
    connection = stack.mariadb.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return [tuple(row) for row in cursor.fetchall()]
    finally:
        connection.close()


def transfers_of(stack: Stack, invoice: Mapping[str, Any]) -> list[str]:
    """Codes of all transfers that the invoice's deposits caused, in the order of the books."""
    found = rows(
        stack,
        "SELECT t.code FROM orion_ledger.transfer t JOIN orion_moneyin.deposit d"
        " ON JSON_VALUE(t.cause, '$.deposit_id') = LOWER(HEX(d.deposit_id))"
        " WHERE d.invoice_id = %s ORDER BY t.shard_no, t.number, t.position",
        (parse_public_id("inv", str(invoice["id"])),),
    )
    return [str(row[0]) for row in found]


@contextmanager
def held(stack: Stack, statement: str) -> Iterator[None]:
    """Hold the row locks of `statement` (a SELECT … FOR UPDATE) while the block runs."""
    connection = stack.mariadb.connect()
    try:
        connection.begin()
        with connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.fetchall()
        yield
    finally:
        connection.rollback()
        connection.close()


def somebody_waits(stack: Stack, user: str) -> bool:
    """Whether a statement of this principal does not get on: no other takes longer than this.

    Not asked of innodb_trx: it is refreshed only when nobody has read it for 100 ms.
    """
    return bool(
        rows(
            stack,
            "SELECT 1 FROM information_schema.processlist WHERE user = %s AND command = 'Query'"
            " AND time_ms > 300",
            (user,),
        )
    )


def workers(stack: Stack, function: str) -> list[int]:
    """Process ids of the AWS engine's workers that run this function."""
    group = os.getpgid(process_id(stack, "ministack"))
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            same_group = os.getpgid(int(entry.name)) == group
        except (OSError, ProcessLookupError):
            continue
        if same_group and f":function:{function}".encode() in environment:
            found.append(int(entry.name))
    return found


def process_id(stack: Stack, name: str) -> int:
    """The process of an engine or program of this stack."""
    return stack.processes()[name].pid


def log_of(stack: Stack, name: str) -> str:
    """What an engine or program has logged so far."""
    return (stack.var / "logs" / f"{name}.log").read_text(errors="replace")


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Stop a process's group for the time of the block, as if the machine hung."""
    os.killpg(os.getpgid(pid), signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(os.getpgid(pid), signal.SIGCONT)
