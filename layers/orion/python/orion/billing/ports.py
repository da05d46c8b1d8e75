"""What billing needs from outside: one transactional store, and a keeper of webhook secrets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from orion.billing.delivery import WebhookEvent
from orion.billing.fees.ports import FeeTransaction
from orion.billing.invoice import Change, Invoice
from orion.billing.listing import Wanted
from orion.billing.merchant_settings import MerchantSettings
from orion.billing.model import Deposit, Refund
from orion.billing.payment_links.model import LinkPlace
from orion.billing.rates.ports import RateTransaction
from orion.billing.webhook_ports import WebhookTransaction
from orion.records import Record

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that must have one effect: `request_hash` has 32 bytes over method, path
    and body.
    """

    merchant_id: bytes
    key: str
    route: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with; `kept` is what a replay gets (the same, or with secrets as
    null). `replayed`: the request had its effect before.
    """

    status: int
    body: bytes
    kept: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class KeyedAnswer:
    """What a request was answered with, to be kept under its key."""

    request: KeyedRequest
    answer: Answer


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell: `destination` is `kafka:<topic>` or `sqs:<purpose>`, order is kept per
    key.
    """

    destination: str
    key: str
    body: Mapping[str, object]
    event_id: bytes


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Posted credits minus debits of one merchant account, in smallest units; may be negative."""

    asset: str
    purpose: str
    units: int


@dataclass(frozen=True, slots=True)
class FreeWallet:
    """A wallet that nobody has, and its canonical address by chain."""

    group_no: int
    wallet_index: int
    addresses: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Expected:
    """For what an invoice will be made: what is read for it can be read at once."""

    merchant_id: bytes
    lane: str
    currency: str
    assets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewInvoice:
    """An invoice after its first change, its locked wallet, the event of that change, and the
    message that tells of it.
    """

    invoice: Invoice
    wallet: FreeWallet
    event: WebhookEvent
    told: Message


@dataclass(frozen=True, slots=True)
class DepositPlace:
    """What is stored of a deposit: version 0 when only its credit has come so far. `deposit` is its
    last state, None as long as it has none.
    """

    version: int
    invoice_id: bytes | None
    posted_epochs: frozenset[int] = frozenset()
    deposit: Deposit | None = None


@dataclass(frozen=True, slots=True)
class LostDeposit:
    """A deposit whose block is gone since `since`, and nothing has come in its place."""

    deposit_id: bytes
    invoice_id: bytes
    asset: str
    txid: str
    since: datetime


class Transaction(FeeTransaction, RateTransaction, WebhookTransaction, Protocol):
    """One READ COMMITTED transaction. Everything below takes part in it; what it raises rolls all
    of it back.
    """

    def once(self, request: KeyedRequest, now: datetime, work: Callable[[], Answer]) -> Answer:
        """Run `work` once for (merchant, key), later give its kept answer. First in the
        transaction.

        Waits for a concurrent first request within the session's lock wait. Errors:
        `idempotency_key_in_flight`,
        `idempotency_key_reused`.
        """
        ...

    def once_expecting(
        self,
        request: KeyedRequest,
        expected: Expected,
        work: Callable[[], tuple[Answer, Callable[[KeyedAnswer], None]]],
    ) -> Answer:
        """As `once`, in fewer round trips, for the ordinary making of an invoice: the key is looked
        up together with what is expected. `work` only reads; what it gives beside its answer
        writes, the key with that answer before all else (`add_new`).
        """
        ...

    def expect(self, expected: Expected) -> None:
        """Read in one round trip what making this invoice will ask for, a free wallet included,
        which is locked. It changes nothing but the time that takes.
        """
        ...

    def settings(self, merchant_id: bytes) -> MerchantSettings:
        """The merchant's settings, or the defaults."""
        ...

    def put_settings(self, merchant_id: bytes, settings: MerchantSettings, now: datetime) -> bool:
        """Store settings; False when they were so already."""
        ...

    def free_wallet(self) -> FreeWallet:
        """A free wallet, locked. Two transactions never get the same. Raises NoAddressAvailable."""
        ...

    def add_new(self, new: NewInvoice, keyed: KeyedAnswer | None = None) -> None:
        """Store a new invoice and give its wallet away for ever, in one round trip; `keyed` is
        stored before all else. Errors: `idempotency_key_in_flight`. Where another request was the
        first with its key, the transaction begins again.
        """
        ...

    def invoice(self, invoice_id: bytes) -> Invoice | None:
        """The invoice with its facts, not locked."""
        ...

    def invoices(self, merchant_id: bytes, wanted: Wanted, limit: int) -> Sequence[Invoice]:
        """The merchant's invoices that are wanted, newest first; at most `limit`."""
        ...

    def balances(self, merchant_id: bytes) -> Sequence[AccountBalance]:
        """The merchant's ledger accounts. An account that does not exist is absent, never zero."""
        ...

    def fresh(self, records: Sequence[Record]) -> Sequence[Record]:
        """Those of one partition's records that had no effect yet. First in the transaction;
        fences.
        """
        ...

    def lock_deposits(self, deposit_ids: Sequence[bytes]) -> Mapping[bytes, DepositPlace]:
        """Lock these deposits in ascending order, as empty rows where they are unknown; what is
        stored of each, with the epochs that the ledger has posted.
        """
        ...

    def lock_invoices(self, invoice_ids: Sequence[bytes]) -> Sequence[Invoice]:
        """Lock these invoices in ascending order; those that exist, with their facts as committed
        by now. However many deposits an invoice has, a bounded number of rows is read.
        """
        ...

    def put_deposit(self, invoice: Invoice, deposit: Deposit, now: datetime) -> None:
        """Replace the stored state of a locked deposit, which is `invoice`'s; one that is reversed
        is so since `now`, unless it was before.
        """
        ...

    def put_credit(
        self, deposit_id: bytes, epoch: int, transfer_id: bytes, posted_at: datetime
    ) -> None:
        """Remember a posted credit of a locked deposit; a known one is no change."""
        ...

    def put_refund(self, invoice_id: bytes, refund: Refund) -> bool:
        """Remember a refund of a locked invoice; False when it is known by its transfer."""
        ...

    def put_sums(self, invoice: Invoice) -> None:
        """Replace the stored sums of this locked invoice, in the transaction that changed them,
        where it has more deposits or refunds than are shown; others are summed from their rows.
        """
        ...

    def waking(self, now: datetime, limit: int) -> Sequence[bytes]:
        """Ids of at most `limit` invoices whose status time alone has changed by now, longest ago
        first.
        """
        ...

    def put_waking(self, invoice: Invoice) -> None:
        """Store when time alone changes the status of this locked invoice."""
        ...

    def put_change(self, invoice: Invoice, change: Change) -> None:
        """Record a change of the locked `invoice`, which already shows it: its status, when it
        wakes, when it was cancelled.
        """
        ...

    def follow_place(self, link_id: bytes, invoice_id: bytes, place: LinkPlace) -> None:
        """What this locked invoice is to its link by now. The counters of links change with it, at
        the end of the transaction.
        """
        ...

    def places_over(self, now: datetime, limit: int) -> Sequence[bytes]:
        """Ids of at most `limit` invoices whose time of waiting for money, as their links count
        it, is over.
        """
        ...

    def sleeping(self, limit: int) -> Sequence[bytes]:
        """Ids of at most `limit` invoices that time will end and that nothing wakes, because code
        that knew no moment to wake at made them.
        """
        ...

    def adopt_deposits(self, limit: int) -> int:
        """Name the merchant of at most `limit` deposits that are of an invoice and of nobody,
        because code that knew no merchant of a deposit stored them; how many.
        """
        ...

    def reversed_since(self, before: datetime, now: datetime, limit: int) -> Sequence[LostDeposit]:
        """At most `limit` deposits that have been reversed since a moment before `before`, longest
        ago first. One of which nobody noted since when is reversed since `now`.
        """
        ...

    def tell(self, messages: Sequence[Message], now: datetime) -> None:
        """Put messages into the outbox; an event that is stored already is one event still."""
        ...


class BillingStore(Protocol):
    """Transactions over billing's schema."""

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """`work` in one transaction; repeated as a whole, a bounded number of times, after a
        deadlock.

        Raises `temporarily_unavailable` when the outcome is unknown: repeat the same request.
        """
        ...


class SecretKeeper(Protocol):
    """Encrypts webhook secrets so that only the sender can read them."""

    def encrypt(self, secret: bytes, endpoint_id: bytes, merchant_id: bytes) -> bytes:
        """Ciphertext bound to the endpoint. Raises Unavailable."""
        ...
