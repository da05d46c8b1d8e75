"""From a mined block to a delivered webhook, on the whole running stack.

Payments come one at a time, each of its own invoice from its own wallet. A payment is brought to
one block below settlement and the system is left to come to rest; then one block is mined. The
clock runs from the order to mine it, the node's own milliseconds included, until a verified
`invoice.settled` is at the merchant's endpoint.

With ORION_VAR naming the folder of a stack that runs, that stack is used and left running; else a
stack of its own is started and stopped. Run: `make bench BENCH=first_light`.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from demos.first_light.customers import BitcoinCustomer, Customer, EtherCustomer
from demos.first_light.merchant import StoryFailure, wait_for
from demos.first_light.receiver import Receiver
from infra.local import Stack, stack_down, stack_up
from infra.local.faucet import BitcoinFaucet
from infra.local.json_rpc import record, text
from orion.ids import parse_public_id
from tests.bench.bare_path import IS, BarePath
from tests.bench.figures import Figure, machine, progress, quantile
from tests.bench.hops import HOPS, Hops, Settled
from tests.e2e.scene import Shop, open_shop, rows

NAME = "first_light"
WARM_UP = 3
PAYMENTS = 50
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Chain:
    """Who pays, and the node's tip: height and hash."""

    who: Callable[[Stack], Customer]
    tip: Callable[[Stack], tuple[int, str]]


def _bitcoin_tip(stack: Stack) -> tuple[int, str]:
    return BitcoinFaucet(stack.btcd).tip()


def _ethereum_tip(stack: Stack) -> tuple[int, str]:
    block = record(stack.anvil.rpc.call("eth_getBlockByNumber", "latest", False))
    return int(text(block["number"]), 16), text(block["hash"])


def main() -> None:
    """Both chains."""
    with running() as stack:
        receiver = Receiver()
        path = BarePath(stack)
        try:
            shop = open_shop(stack, receiver)
            measure(shop, path, Chain(EtherCustomer, _ethereum_tip))
            measure(shop, path, Chain(BitcoinCustomer, _bitcoin_tip))
        finally:
            path.close()
            receiver.close()


@contextmanager
def running() -> Iterator[Stack]:
    """The stack of ORION_VAR when that runs, else one for the time of the block."""
    named = os.environ.get("ORION_VAR")
    if named is not None and Stack(Path(named)).alive("ministack"):
        yield Stack(Path(named), report=partial(progress, NAME))
        return
    # Open to the database servers, which run as another user.
    folder = Path(tempfile.mkdtemp(prefix="orion-bench-"))
    folder.chmod(0o711)
    try:
        yield stack_up(folder, report=partial(progress, NAME))
    finally:
        stack_down(folder)
        shutil.rmtree(folder, ignore_errors=True)


def measure(shop: Shop, path: BarePath, chain: Chain) -> None:
    """Print the figures of one chain."""
    asset = chain.who(shop.stack).asset
    settled: list[Settled] = []
    bare: list[float] = []
    parts: list[Sequence[float]] = []
    progress(NAME, f"{asset}; {machine()}")
    for number in range(WARM_UP + PAYMENTS):
        paid = settle(shop, chain)
        reference, part = path.once_s(), path.parts_s()
        if number >= WARM_UP:
            settled.append(paid)
            bare.append(reference)
            parts.append(part)
        progress(NAME, f"{asset} {number + 1}: {paid.took_s * 1000:.0f} ms")
    progress(NAME, f"{asset} done; {machine()}")
    show(shop.stack, asset, settled, bare)
    for place, name in enumerate(("invocation", "record", "message")):
        median_ms = quantile([part[place] for part in parts], 0.5) * 1000
        progress(NAME, f"bare {name}: p50 {median_ms:.1f} ms")


def show(stack: Stack, asset: str, settled: Sequence[Settled], bare: Sequence[float]) -> None:
    """The whole way beside the bare one, then each hop beside the whole way."""
    case = f"{asset}, {len(settled)} payments one at a time"
    whole = [paid.took_s for paid in settled]
    for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
        Figure(
            NAME,
            case,
            f"mined_to_webhook_{name}",
            quantile(whole, share) * 1000,
            "ms",
            quantile(bare, share) * 1000,
            f"{name} of {IS}",
        ).show()
    hops = Hops(stack, asset.partition(".")[2])
    spent = [hops.of(paid) for paid in settled]
    for place, hop in enumerate(HOPS):
        for name, share in (("p50", 0.5), ("p95", 0.95)):
            Figure(
                NAME,
                f"{case}: {hop}",
                f"hop_{place + 1}_{name}",
                quantile([one[place] for one in spent], share) * 1000,
                "ms",
                quantile(whole, share) * 1000,
                f"{name} of the whole way, same run",
            ).show()


def settle(shop: Shop, chain: Chain) -> Settled:
    """One payment from invoice to webhook. Raises StoryFailure when the system does not follow."""
    stack, customer = shop.stack, chain.who(shop.stack)
    invoice_id = _paid_but_for_one_block(shop, chain, customer)
    # Before the order and not after its answer: an agent hears of a block before the one who asked.
    begin, ordered_at = time.monotonic(), time.time()
    customer.mine(1)
    wait_for(
        "a verified webhook invoice.settled",
        lambda: shop.receiver.find(invoice_id, "invoice.settled") is not None,
        timeout_s=PATIENCE_S,
    )
    received = shop.receiver.find(invoice_id, "invoice.settled")
    if received is None or shop.receiver.refused:
        raise StoryFailure(f"expected every webhook to verify: {shop.receiver.refused}")
    return Settled(
        invoice_id=invoice_id,
        block_hash=chain.tip(stack)[1],
        ordered_at=ordered_at,
        took_s=received.at - begin,
    )


def _paid_but_for_one_block(shop: Shop, chain: Chain, customer: Customer) -> str:
    """The id of a new invoice whose payment the next block settles, when nothing moves any more."""
    stack = shop.stack
    invoice = shop.invoice(customer.asset)
    invoice_id = parse_public_id("inv", str(invoice["id"]))
    option = invoice["payment_options"][0]
    customer.fund(str(option["amount"]))
    before = chain.tip(stack)
    customer.pay(str(option["address"]), str(option["amount"]))
    # Where the node mines a block for each transaction, the payment is in one already.
    if chain.tip(stack) == before:
        customer.mine(1)
    look = (
        "SELECT settled_height FROM orion_moneyin.deposit WHERE invoice_id = %s",
        (invoice_id,),
    )
    wait_for("moneyin to record the deposit", lambda: bool(rows(stack, *look)), pause_s=0.1)
    ((settled_height,),) = rows(stack, *look)
    missing = int(settled_height) - 1 - chain.tip(stack)[0]
    if missing > 0:
        customer.mine(missing)
    wait_for(
        "the system to come to rest",
        lambda: _rests(stack, invoice_id, chain.tip(stack)),
        timeout_s=PATIENCE_S,
        pause_s=0.1,
    )
    return str(invoice["id"])


def _rests(stack: Stack, invoice_id: bytes, tip: tuple[int, str]) -> bool:
    """moneyin has the newest block, billing the credit, the merchant the webhooks so far."""
    waiting = rows(
        stack,
        "SELECT 1 FROM orion_billing.invoice i WHERE i.invoice_id = %s"
        " AND (i.status <> 'confirming'"
        " OR NOT EXISTS (SELECT 1 FROM orion_moneyin.chain_cursor c WHERE c.tip_hash = %s)"
        " OR NOT EXISTS (SELECT 1 FROM orion_billing.deposit d"
        "   JOIN orion_billing.deposit_credit USING (deposit_id, credit_epoch)"
        "   WHERE d.invoice_id = i.invoice_id)"
        " OR EXISTS (SELECT 1 FROM orion_billing.webhook_delivery w"
        "   WHERE w.object_id = i.invoice_id AND w.finished_at IS NULL))",
        (invoice_id, tip[1]),
    )
    return not waiting
