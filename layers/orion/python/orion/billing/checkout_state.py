"""What the checkout page shows of an invoice: which parts in which status, and the ways to pay what
is left. Written down in docs/checkout.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from orion.billing.payment_link import Networks, payment_link
from orion.chains import registry
from orion.money import Amount, asset

Tone = Literal["info", "good", "warn", "bad"]
# No wallet standard exists there, and the network's own wallet reads nothing but an address.
_ADDRESS_ONLY_CODES = frozenset({"tron"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Scene:
    """The parts of the page in one status."""

    tone: Tone
    pays: bool = False
    receipt: bool = False
    returns: bool = False
    # Nothing is expected to happen any more: the page asks seldom.
    over: bool = False


SCENES: Mapping[str, Scene] = {
    "new": Scene("info", pays=True),
    "seen": Scene("info"),
    "partially_paid": Scene("warn", pays=True),
    "confirming": Scene("info"),
    "settled": Scene("good", receipt=True, returns=True, over=True),
    "overpaid": Scene("good", receipt=True, returns=True, over=True),
    "underpaid": Scene("warn", receipt=True),
    "paid_late": Scene("warn", receipt=True, over=True),
    "expired": Scene("warn"),
    "invalid": Scene("bad"),
    "cancelled": Scene("bad", over=True),
    "partially_refunded": Scene("info", receipt=True, over=True),
    "refunded": Scene("info", receipt=True, over=True),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to pay what is left. `link` is None where the stage has left that network."""

    rest: Amount
    partly_paid: bool
    chain: str
    address: str
    link: str | None
    token: bool

    @property
    def code(self) -> str:
        """What the first QR code holds."""
        if self.link is None or self.chain in _ADDRESS_ONLY_CODES:
            return self.address
        return self.link


def offers(options: Sequence[Mapping[str, str]], places: Networks) -> Sequence[Offer]:
    """The ways to pay what is left of an invoice, in the order of `options` as its public view
    shows them; none when nothing is left.
    """
    found = [_offer(row, places) for row in options]
    return [offer for offer in found if offer.rest.units > 0]


def _offer(row: Mapping[str, str], places: Networks) -> Offer:
    coin = asset(row["asset"])
    rest, due = Amount.parse(row["remaining"], coin), Amount.parse(row["amount"], coin)
    link: str | None = row["payment_link"]
    if rest != due:
        # The stored link asks for the whole.
        payable = rest.units > 0 and row["chain"] in places.networks
        link = payment_link(rest, row["address"], places) if payable else None
    native = registry.chain_data(row["chain"]).native_asset
    return Offer(rest, rest != due, row["chain"], row["address"], link, coin.code != native)


def return_link(success_url: object) -> str | None:
    """Where the button back to the shop leads: https, or http to this very machine; else
    nowhere.
    """
    if not isinstance(success_url, str) or not success_url.isascii():
        return None
    try:
        parts = urlsplit(success_url)
        host = parts.hostname
    except ValueError:
        return None
    if (parts.scheme == "https" and host) or (parts.scheme == "http" and host in _LOOPBACK):
        return success_url
    return None
