"""What merchants ask of billing: invoices, rates, balances, webhook endpoints; and what a
customer's page shows.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from orion.billing.delivery import ALL_TYPES, Endpoint
from orion.billing.errors import (
    CursorMalformed,
    InvoiceNotFound,
    LimitOutOfRange,
    NoAddressAvailable,
    RateUnavailable,
    UnknownCurrency,
    UnknownEventType,
)
from orion.billing.invoice import (
    Cause,
    Change,
    Invoice,
    PaymentOption,
    merchant_view,
    moment,
    public_view,
)
from orion.billing.model import EVENT_TYPES, CauseType, InvoiceStatus
from orion.billing.payment_link import Networks, display_address, payable_asset, payment_link
from orion.billing.ports import (
    Answer,
    BillingStore,
    KeyedRequest,
    Message,
    SecretKeeper,
    Transaction,
)
from orion.billing.quote import Rate, quote
from orion.billing.webhook_target import Network, check_url
from orion.billing.webhooks import announce
from orion.ids import ID_BYTES, public_id, random_id
from orion.money import ASSETS, Amount, Asset, asset
from orion.records import canonical_json

EXPIRES_IN_S_DEFAULT = 900
EXPIRES_IN_S_MAX = 30 * 86_400
PAGE_MAX = 100
PAGE_DEFAULT = 20
MAX_OPTIONS = 8
SECRET_BYTES = 32
_CURSOR_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class Asked:
    """An invoice as a merchant asks for it, already of the right types and lengths but not yet
    judged.
    """

    amount: str
    currency: str
    assets: tuple[str, ...]
    reference: str | None
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class PublicStatus:
    """What the customer's page shows; `etag` is quoted and changes exactly when `body` does."""

    fields: Mapping[str, object]
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What billing must know of its stage: base URL of each lane, networks, private webhook
    targets.
    """

    checkout_urls: Mapping[str, str]
    places: Networks
    allowed_private: Sequence[Network]


def fiat(code: str) -> Asset:
    """The currency of this code. Raises UnknownCurrency."""
    found = ASSETS.get(code)
    if found is None or found.chain is not None:
        raise UnknownCurrency("no such currency", currency=code[:40])
    return found


class Billing:
    """The merchant's side of billing. Each method is one transaction."""

    def __init__(
        self,
        store: BillingStore,
        secrets: SecretKeeper,
        surroundings: Surroundings,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._around = surroundings
        self._clock = clock
        self._random_bytes = random_bytes

    def create_invoice(
        self, request: KeyedRequest, asked: Asked, *, lane: str, trace_id: str
    ) -> Answer:
        """Create an invoice once for the request's key.

        Refuses, with nothing written: MalformedAmount, InexactAmount, AmountNotPositive,
        AmountTooLarge, UnknownCurrency,
        UnknownAsset, RateUnavailable, NoAddressAvailable, `idempotency_key_reused`,
        `idempotency_key_in_flight`.
        """
        price = Amount.parse(asked.amount, fiat(asked.currency)).positive()
        coins = [payable_asset(code, self._around.places) for code in asked.assets]
        origin = _Origin(request.merchant_id, lane, trace_id, self._clock())

        def create(tx: Transaction) -> Answer:
            invoice = self._new_invoice(tx, origin, asked, price, coins)
            body = canonical_json(merchant_view(invoice, self._around.checkout_urls[lane]))
            return Answer(201, body, body)

        return self._store.transact(lambda tx: tx.once(request, origin.at, lambda: create(tx)))

    def _new_invoice(
        self,
        tx: Transaction,
        origin: "_Origin",
        asked: Asked,
        price: Amount,
        coins: Sequence[Asset],
    ) -> Invoice:
        invoice_id = random_id()
        dues = _locked_dues(tx, origin.merchant_id, price, coins)
        addresses = tx.take_wallet(origin.merchant_id, invoice_id, origin.at)
        cause = Cause(CauseType.CREATED, invoice_id, origin.at, origin.trace_id)
        change = Change(1, None, InvoiceStatus.NEW, cause)
        invoice = Invoice(
            invoice_id=invoice_id,
            merchant_id=origin.merchant_id,
            lane=origin.lane,
            status=change.new,
            price=price,
            reference=asked.reference,
            created_at=origin.at,
            expires_at=origin.at + timedelta(seconds=asked.expires_in_s),
            changes=change.number,
            cause=cause,
            options=tuple(self._option(due, rate, addresses) for due, rate in dues),
        )
        tx.add_invoice(invoice)
        tx.put_change(invoice_id, change)
        announce(tx, invoice, change, self._around.checkout_urls)
        details = {"amount": price.text(), "currency": price.asset.code}
        subject = public_id("inv", invoice_id)
        tx.tell([_audit("invoice.created", origin, subject, details)], origin.at)
        return invoice

    def _option(self, due: Amount, rate: Rate, addresses: Mapping[str, str]) -> PaymentOption:
        chain = due.asset.chain or ""
        address = addresses.get(chain)
        if address is None:
            raise NoAddressAvailable("the wallet has no address on this chain", chain=chain)
        return PaymentOption(
            due=due,
            rate=rate,
            address=display_address(address, chain),
            payment_link=payment_link(due, address, self._around.places),
        )

    def invoice(self, merchant_id: bytes, invoice_id: bytes) -> Mapping[str, object]:
        """The merchant's invoice. Raises InvoiceNotFound, also for another merchant's."""
        found = self._store.transact(lambda tx: tx.invoice(invoice_id))
        if found is None or found.merchant_id != merchant_id:
            raise InvoiceNotFound("no such invoice")
        return merchant_view(found, self._around.checkout_urls[found.lane])

    def public_status(self, invoice_id: bytes) -> PublicStatus:
        """What the customer's page shows. Knowing the id is the permission. Raises
        InvoiceNotFound.
        """
        found = self._store.transact(lambda tx: tx.invoice(invoice_id))
        if found is None:
            raise InvoiceNotFound("no such invoice")
        fields = public_view(found, self._around.checkout_urls[found.lane])
        body = canonical_json(fields)
        return PublicStatus(fields, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def invoices(
        self, merchant_id: bytes, *, limit: int = PAGE_DEFAULT, cursor: str | None = None
    ) -> Mapping[str, object]:
        """One page, newest first: `data`, and `next_cursor` (null on the last page).

        Raises LimitOutOfRange (1 to PAGE_MAX), CursorMalformed.
        """
        if not 1 <= limit <= PAGE_MAX:
            raise LimitOutOfRange(f"a page has 1 to {PAGE_MAX} invoices", limit=limit)
        before = None if cursor is None else _read_cursor(cursor)
        rows = self._store.transact(lambda tx: tx.invoices_before(merchant_id, before, limit + 1))
        page = rows[:limit]
        return {
            "data": [merchant_view(row, self._around.checkout_urls[row.lane]) for row in page],
            "next_cursor": _cursor(page[-1].invoice_id) if len(rows) > limit else None,
        }

    def balances(self, merchant_id: bytes) -> Mapping[str, object]:
        """The merchant's ledger balances by asset. An asset never credited is absent: unknown is
        not zero.

        `total` is settling + available - what a reversal of spent money left the merchant owing.
        """
        rows = self._store.transact(lambda tx: tx.balances(merchant_id))
        by_asset: dict[str, dict[str, int]] = {}
        for row in rows:
            by_asset.setdefault(row.asset, {})[row.purpose] = row.units
        return {"data": [_balance(code, found) for code, found in sorted(by_asset.items())]}

    def put_rate(
        self, merchant_id: bytes, asset_code: str, currency: str, text: str, *, trace_id: str
    ) -> Mapping[str, object]:
        """Set the merchant's price of one whole coin; repeating it changes nothing.

        Raises UnknownAsset, UnknownCurrency, MalformedAmount, InexactAmount, AmountNotPositive,
        AmountTooLarge.
        """
        coin, money = payable_asset(asset_code, self._around.places), fiat(currency)
        rate = Rate.parse(text)
        origin = _Origin(merchant_id, "", trace_id, self._clock())
        subject = f"{coin.code}/{money.code}"

        def put(tx: Transaction) -> None:
            if tx.put_rate(merchant_id, coin.code, money.code, rate, origin.at):
                tx.tell([_audit("rate.set", origin, subject, {"rate": rate.text()})], origin.at)

        self._store.transact(put)
        return {"asset": coin.code, "currency": money.code, "rate": rate.text()}

    def create_endpoint(
        self, request: KeyedRequest, url: str, event_types: Sequence[str], *, trace_id: str
    ) -> Answer:
        """Add a webhook endpoint; its secret is in this answer only, a replay carries null.

        Raises WebhookUrlRefused, UnknownEventType, TooManyEndpoints, Unavailable (no KMS).
        """
        check_url(url, self._around.allowed_private)
        for kind in event_types:
            if kind != ALL_TYPES and kind not in EVENT_TYPES:
                raise UnknownEventType("no invoice causes this event", event_type=kind[:64])
        origin = _Origin(request.merchant_id, "", trace_id, self._clock())
        endpoint_id, secret = random_id(), self._random_bytes(SECRET_BYTES)
        # Before the transaction: a replay wastes one encryption, but no lock waits for KMS.
        ciphertext = self._secrets.encrypt(secret, endpoint_id, request.merchant_id)
        endpoint = Endpoint(
            endpoint_id, request.merchant_id, url, frozenset(event_types), ciphertext
        )
        shown = {
            "id": public_id("whe", endpoint_id),
            "url": url,
            "events": list(event_types),
            "secret": "whsec_" + base64.b64encode(secret).decode(),
        }

        def create(tx: Transaction) -> Answer:
            tx.add_endpoint(endpoint, origin.at)
            # The host only: paths and queries of webhook addresses often carry a token.
            details = {"host": urlsplit(url).hostname or "", "events": list(event_types)}
            event = _audit("webhook_endpoint.created", origin, str(shown["id"]), details)
            tx.tell([event], origin.at)
            return Answer(201, canonical_json(shown), canonical_json({**shown, "secret": None}))

        return self._store.transact(lambda tx: tx.once(request, origin.at, lambda: create(tx)))


@dataclass(frozen=True, slots=True)
class _Origin:
    """Who asked, by which lane, under which trace, when."""

    merchant_id: bytes
    lane: str
    trace_id: str
    at: datetime


def _locked_dues(
    tx: Transaction, merchant_id: bytes, price: Amount, coins: Sequence[Asset]
) -> Sequence[tuple[Amount, Rate]]:
    rates = tx.rates(merchant_id, price.asset.code, [coin.code for coin in coins])
    for coin in coins:
        if coin.code not in rates:
            raise RateUnavailable(
                "there is no rate for this asset", asset=coin.code, currency=price.asset.code
            )
    return [(quote(price, rates[coin.code], coin), rates[coin.code]) for coin in coins]


def _audit(action: str, origin: _Origin, subject: str, details: Mapping[str, object]) -> Message:
    body = {
        "v": 1,
        "trace_id": origin.trace_id,
        "module": "billing",
        "action": action,
        "at": moment(origin.at),
        "actor": public_id("mer", origin.merchant_id),
        "subject": subject,
        "details": details,
    }
    # Not made from the trace: a client may send that, and a repeated one would hide a second deed.
    return Message("kafka:audit.events", "billing", body, random_id())


def _balance(code: str, found: Mapping[str, int]) -> Mapping[str, object]:
    coin = asset(code)
    settling, available = found.get("settling", 0), found.get("available", 0)
    # The receivable is what the merchant owes: its debits exceed its credits.
    total = settling + available + found.get("reversal_receivable", 0)
    return {
        "asset": code,
        "settling": Amount(settling, coin).text(),
        "available": Amount(available, coin).text(),
        "total": Amount(total, coin).text(),
    }


def _cursor(invoice_id: bytes) -> str:
    return base64.urlsafe_b64encode(_CURSOR_VERSION + invoice_id).decode().rstrip("=")


def _read_cursor(text: str) -> bytes:
    if len(text) != 23:
        raise CursorMalformed("no page ended with this cursor")
    try:
        value = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise CursorMalformed("no page ended with this cursor") from exc
    if len(value) != 1 + ID_BYTES or value[:1] != _CURSOR_VERSION or _cursor(value[1:]) != text:
        raise CursorMalformed("no page ended with this cursor")
    return value[1:]
