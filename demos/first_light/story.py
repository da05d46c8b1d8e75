"""The story itself: one invoice, one payment, every stage timed and every promise checked."""

import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from playwright.sync_api import Browser

from demos.first_light.browser import Checkout
from demos.first_light.customers import Customer
from demos.first_light.merchant import Api, StoryFailure, balance, wait_for
from demos.first_light.receiver import Receiver

AMOUNT, CURRENCY = "25.00", "EUR"


@dataclass(slots=True)
class Told:
    """What one story leaves behind. `stages_ms`: milliseconds each stage took, in order."""

    asset: str
    invoice_id: str
    stages_ms: dict[str, int] = field(default_factory=dict)
    ledger_balance: str = "absent"
    chain_balance: str = "absent"
    screenshot: str = ""

    @property
    def balanced(self) -> bool:
        """The books and the chain say the same, as texts with all places."""
        return self.ledger_balance == self.chain_balance


class Watch:
    """Milliseconds between marks."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._last = time.monotonic()

    def mark(self, stage: str) -> None:
        """The stage that just ended."""
        now = time.monotonic()
        self._told.stages_ms[stage] = round((now - self._last) * 1000)
        self._last = now


def tell(
    api: Api,
    customer: Customer,
    receiver: Receiver,
    browser: Browser,
    folder: Path,
    confirmations: int,
) -> Told:
    """From invoice to verified webhook. Raises StoryFailure at the first broken promise."""
    started = time.monotonic()
    body = {"amount": AMOUNT, "currency": CURRENCY, "assets": [customer.asset], "reference": "tea"}
    invoice = api.call("POST", "/v1/invoices", body)
    told = Told(customer.asset, str(invoice["id"]))
    told.stages_ms["invoice created"] = round((time.monotonic() - started) * 1000)
    option = invoice["payment_options"][0]
    customer.fund(str(option["amount"]))

    watch = Watch(told)
    checkout = Checkout(browser, str(invoice["checkout_url"]))
    shown = checkout.shown()
    asked = Decimal(str(option["amount"]))
    expect(Decimal(shown.amount) == asked, f"the page to ask for {asked}", shown)
    expect(shown.address == option["address"], f"the page to show {option['address']}", shown)
    expect(shown.wallet_link == option["payment_link"], "the wallet link of the invoice", shown)
    expect(shown.countdown.count(":") == 2, "a running countdown", shown)
    watch.mark("page opened")
    name = customer.asset.replace(".", "-").lower()
    checkout.screenshot(folder / f"{name}-open.png")

    watch = Watch(told)
    customer.pay(str(option["address"]), str(option["amount"]))
    watch.mark("payment sent")
    customer.mine(1)
    checkout.wait_for_status("confirming")
    watch.mark("first block to page says confirming")

    watch = Watch(told)
    last_block = time.monotonic()
    customer.mine(confirmations - 1)
    wait_for(
        "a verified webhook invoice.settled",
        lambda: receiver.find(told.invoice_id, "invoice.settled") is not None,
    )
    received = receiver.find(told.invoice_id, "invoice.settled")
    if received is None:
        raise StoryFailure("the webhook vanished")
    told.stages_ms["last block to webhook"] = round((received.at - last_block) * 1000)
    expect(not receiver.refused, "every webhook's signature to hold", receiver.refused)
    status = api.call("GET", f"/v1/invoices/{told.invoice_id}")["status"]
    expect(status == "settled", "the API to say settled", status)
    checkout.wait_for_status("settled")
    watch.mark("last block to page says settled")
    screenshot = folder / f"{name}-settled.png"
    checkout.screenshot(screenshot)
    expect(not checkout.complaints, "a page without errors", checkout.complaints)
    checkout.close()

    told.screenshot = str(screenshot)
    told.ledger_balance = balance(api, customer.asset)
    told.chain_balance = customer.chain_balance(str(option["address"]))
    told.stages_ms["whole story"] = round((time.monotonic() - started) * 1000)
    return told


def expect(holds: bool, what: str, seen: object) -> None:
    """Raise StoryFailure unless it holds."""
    if not holds:
        raise StoryFailure(f"expected {what}; saw {seen}")
