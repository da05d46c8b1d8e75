"""How an invoice is made, in one transaction: judged, priced and drafted with a wallet, and only
then stored and told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from orion.billing.audit import Origin, audit
from orion.billing.errors import NoAddressAvailable, UnknownCurrency
from orion.billing.fees.ports import AgreedFee
from orion.billing.fees.quote import quote_fee
from orion.billing.invoice import Cause, Change, Invoice, Made, PaymentOption, merchant_view
from orion.billing.merchant_settings import MerchantSettings
from orion.billing.model import CauseType, InvoiceStatus
from orion.billing.payment_link import (
    Networks,
    display_address,
    payable_asset,
    payable_assets,
    payment_link,
)
from orion.billing.ports import Expected, FreeWallet, KeyedAnswer, NewInvoice, Transaction
from orion.billing.quote import quote
from orion.billing.rates.model import RateLock
from orion.billing.rates.source import RateSource
from orion.billing.sessions.return_url import check_return_url
from orion.billing.webhooks import deliver, event_of, wanting
from orion.ids import public_id, random_id
from orion.money import ASSETS, Amount, Asset

MAX_OPTIONS = 8
METADATA_MAX, METADATA_NAME_MAX, METADATA_TEXT_MAX = 20, 40, 500


@dataclass(frozen=True, slots=True)
class Asked:
    """An invoice as somebody asks for it, already of the right types and lengths but not yet
    judged. `expires_in_s` None takes the merchant's setting.
    """

    amount: str
    currency: str
    assets: tuple[str, ...]
    reference: str | None = None
    expires_in_s: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    payment_link_id: bytes | None = None
    session_id: bytes | None = None
    success_url: str | None = None
    cancel_url: str | None = None
    language: str | None = None

    def made(self) -> Made:
        """What is kept of it besides the price."""
        return Made(
            reference=self.reference,
            metadata=self.metadata,
            payment_link_id=self.payment_link_id,
            session_id=self.session_id,
            success_url=self.success_url,
            cancel_url=self.cancel_url,
            language=self.language,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """What can be said of a request without the database."""

    asked: Asked
    price: Amount
    coins: tuple[Asset, ...]


def fiat(code: str) -> Asset:
    """The currency of this code. Raises UnknownCurrency."""
    found = ASSETS.get(code)
    if found is None or found.chain is not None:
        raise UnknownCurrency("no such currency", currency=code[:40])
    return found


def judge(asked: Asked, places: Networks) -> Judged:
    """Raises MalformedAmount, InexactAmount, AmountNotPositive, AmountTooLarge, UnknownCurrency,
    UnknownAsset, LimitOutOfRange, ReturnUrlRefused.
    """
    if asked.expires_in_s is not None:
        MerchantSettings(expires_in_s=asked.expires_in_s)
    for field_name, url in (("success_url", asked.success_url), ("cancel_url", asked.cancel_url)):
        if url is not None:
            check_return_url(url, field_name)
    price = Amount.parse(asked.amount, fiat(asked.currency)).positive()
    return Judged(asked, price, tuple(payable_asset(code, places) for code in asked.assets))


@dataclass(frozen=True, slots=True)
class Draft:
    """A new invoice before it is stored, as its merchant will see it, with its locked wallet, the
    fee that was agreed on, and the rates of the house that fees follow.
    """

    invoice: Invoice
    view: Mapping[str, object]
    change: Change
    wallet: FreeWallet
    fee: AgreedFee | None
    house: Mapping[str, RateLock]


def expected(origin: Origin, judged: Judged) -> Expected:
    """What making it will read."""
    coins = tuple(coin.code for coin in judged.coins)
    return Expected(origin.merchant_id, origin.lane, judged.price.asset.code, coins)


class InvoiceMaker:
    """Makes invoices in transactions of others. `checkout_urls` is the base URL of each lane."""

    def __init__(
        self, places: Networks, checkout_urls: Mapping[str, str], rates: RateSource
    ) -> None:
        self._places = places
        self._checkout_urls = checkout_urls
        self._rates = rates
        self._payable = payable_assets(places)

    def draft(self, tx: Transaction, origin: Origin, judged: Judged) -> Draft:
        """The invoice as it will be, of what `tx` was told to expect; nothing is written. Raises
        RateUnavailable, RateStale, RateDisputed, NoAddressAvailable, AmountTooLarge.
        """
        asked, invoice_id = judged.asked, random_id(origin.at)
        fee = quote_fee(tx, origin.merchant_id, origin.lane, judged.price, origin.at)
        # One reading of the market: the options' rates, and those of the house that fees follow.
        rates = self._rates.lock(
            tx,
            origin.merchant_id,
            judged.price.asset.code,
            judged.coins,
            origin.at,
            fee.house(self._payable),
        )
        locks = rates.options
        dues = [quote(fee.asked, locks[coin.code].rate, coin) for coin in judged.coins]
        wallet, settings = tx.free_wallet(), tx.settings(origin.merchant_id)
        cause = Cause(CauseType.CREATED, invoice_id, origin.at, origin.trace_id)
        change = Change(1, None, InvoiceStatus.NEW, cause)
        expires_in_s = asked.expires_in_s or settings.expires_in_s
        expires_at = origin.at + timedelta(seconds=expires_in_s)
        invoice = Invoice(
            invoice_id=invoice_id,
            merchant_id=origin.merchant_id,
            lane=origin.lane,
            status=change.new,
            price=judged.price,
            customer_fee_units=fee.asked.units - judged.price.units,
            created_at=origin.at,
            expires_at=expires_at,
            changes=change.number,
            cause=cause,
            options=tuple(
                self._option(due, locks[due.asset.code], wallet.addresses) for due in dues
            ),
            made=asked.made(),
            tolerance_bps=settings.tolerance_bps,
            # Without deposits, only the end of its time changes it.
            wakes_at=expires_at,
        )
        view = merchant_view(invoice, self._checkout_urls[invoice.lane])
        return Draft(invoice, view, change, wallet, fee.agreed, rates.house)

    def store(
        self, tx: Transaction, origin: Origin, draft: Draft, keyed: KeyedAnswer | None = None
    ) -> None:
        """Give the wallet away for ever, store the invoice and tell of it."""
        invoice = draft.invoice
        event = event_of(invoice, draft.change, draft.view)
        details = {"amount": invoice.price.text(), "currency": invoice.price.asset.code}
        told = audit("invoice.created", origin, public_id("inv", invoice.invoice_id), details)
        tx.add_new(NewInvoice(invoice, draft.wallet, event, told), keyed)
        if draft.fee is not None:
            tx.put_invoice_fee(invoice.invoice_id, draft.fee, draft.house, origin.at)
        deliver(tx, event, wanting(tx, event))

    def _option(self, due: Amount, lock: RateLock, addresses: Mapping[str, str]) -> PaymentOption:
        chain = due.asset.chain or ""
        address = addresses.get(chain)
        if address is None:
            raise NoAddressAvailable("the wallet has no address on this chain", chain=chain)
        return PaymentOption(
            due=due,
            rate=lock.rate,
            address=display_address(address, chain),
            payment_link=payment_link(due, address, self._places),
            rate_lock=lock,
        )
