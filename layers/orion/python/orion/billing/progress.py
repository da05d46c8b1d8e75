"""What moves invoices after their creation: deposits, posted credits, and time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from orion.billing.errors import DepositOfUnknownInvoice
from orion.billing.invoice import Cause, Change, Invoice
from orion.billing.model import (
    PAID,
    CauseType,
    Deposit,
    DepositState,
    check_transition,
    next_status,
)
from orion.billing.ports import BillingStore, DepositPlace, Transaction
from orion.billing.reading import Fields
from orion.billing.webhooks import announce
from orion.records import Record, parse_json

CREDIT_CODE = "deposit_credit"
EXPIRY_BATCH = 100
EXPIRY_BATCHES = 20
_MAX_TRANSFERS = 1_000
_MAX_UNIX_S = 253_402_300_799  # The end of the year 9999, beyond which datetime does not go.


@dataclass(frozen=True, slots=True)
class DepositEvent:
    """One record of `moneyin.deposits`: the whole state of a deposit, without what billing adds to
    it.
    """

    trace_id: str
    invoice_id: bytes
    deposit: Deposit


@dataclass(frozen=True, slots=True)
class PostedCredit:
    """One credit of a deposit that the ledger has posted."""

    trace_id: str
    deposit_id: bytes
    epoch: int
    transfer_id: bytes


def read_deposit(record: Record, now: datetime) -> DepositEvent:
    """Raises MalformedRecord. `now` is the first sight of a deposit that is not stored yet."""
    fields = Fields(parse_json(record.value))
    deposit = Deposit(
        deposit_id=fields.id("deposit_id"),
        asset=fields.text("asset", max_length=64),
        units=fields.units("units"),
        state=fields.choice("state", DepositState),
        version=fields.integer("version"),
        confirmations=fields.integer("confirmations", maximum=2**31 - 1),
        confirmations_settled=fields.integer("confirmations_settled", maximum=2**31 - 1),
        credit_epoch=fields.integer("credit_epoch", maximum=2**31 - 1),
        block_time=datetime.fromtimestamp(fields.integer("block_time", maximum=_MAX_UNIX_S), UTC),
        first_seen_at=now,
        txid=fields.text("txid", max_length=128),
    )
    return DepositEvent(fields.trace_id(), fields.id("invoice_id"), deposit)


def read_credits(record: Record) -> Sequence[PostedCredit]:
    """The deposit credits in one record of `ledger.posted`; other transfers are not billing's.
    Raises MalformedRecord.
    """
    fields = Fields(parse_json(record.value))
    trace_id = fields.trace_id()
    return [
        PostedCredit(
            transfer.trace_id(default=trace_id),
            transfer.object("cause").id("deposit_id"),
            transfer.object("cause").integer("credit_epoch", maximum=2**31 - 1),
            transfer.id("id"),
        )
        for transfer in fields.objects("transfers", max_items=_MAX_TRANSFERS)
        if transfer.text("code", max_length=64) == CREDIT_CODE
    ]


class InvoiceProgress:
    """Applies facts to invoices. `checkout_urls` is the public base URL of each lane."""

    def __init__(
        self,
        store: BillingStore,
        clock: Callable[[], datetime],
        checkout_urls: Mapping[str, str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._checkout_urls = checkout_urls

    def apply_deposits(self, records: Sequence[Record]) -> int:
        """The deposit events of one partition, in one transaction; how many changes they caused.

        Raises MalformedRecord, DepositOfUnknownInvoice: nothing of the batch is applied then.
        """
        return self._store.transact(lambda tx: self._apply_deposits(tx, records))

    def apply_posted(self, records: Sequence[Record]) -> int:
        """The posted transfers of one shard, in one transaction; how many changes they caused.
        Raises MalformedRecord.
        """
        return self._store.transact(lambda tx: self._apply_posted(tx, records))

    def expire(self) -> int:
        """Move invoices whose time is over, at most EXPIRY_BATCH × EXPIRY_BATCHES; how many
        changed.
        """
        changed = 0
        for _ in range(EXPIRY_BATCHES):
            found, moved = self._store.transact(self._expire)
            changed += moved
            if found < EXPIRY_BATCH:
                break
        return changed

    def _apply_deposits(self, tx: Transaction, records: Sequence[Record]) -> int:
        now = self._clock()
        events = [read_deposit(record, now) for record in tx.fresh(records)]
        places = tx.lock_deposits(sorted({event.deposit.deposit_id for event in events}))
        wanted = {event.invoice_id for event in events}
        wanted |= {place.invoice_id for place in places.values() if place.invoice_id is not None}
        work = _Work(tx, now, self._checkout_urls, tx.lock_invoices(sorted(wanted)))
        work.know_places(places)
        work.posted = dict(tx.posted_epochs(sorted(places)))
        for event in events:
            work.take_deposit(event)
        work.store_deposits()
        return work.changes

    def _apply_posted(self, tx: Transaction, records: Sequence[Record]) -> int:
        now = self._clock()
        posted = [credit for record in tx.fresh(records) for credit in read_credits(record)]
        places = tx.lock_deposits(sorted({credit.deposit_id for credit in posted}))
        wanted = {place.invoice_id for place in places.values() if place.invoice_id is not None}
        work = _Work(tx, now, self._checkout_urls, tx.lock_invoices(sorted(wanted)))
        work.know_places(places)
        for credit in posted:
            work.take_credit(credit)
        return work.changes

    def _expire(self, tx: Transaction) -> tuple[int, int]:
        now = self._clock()
        ids = tx.overdue(now, EXPIRY_BATCH)
        work = _Work(tx, now, self._checkout_urls, tx.lock_invoices(sorted(ids)))
        work.expire()
        return len(ids), work.changes


class _Work:
    """The locked invoices of one transaction, moved fact by fact so that every change is told in
    its order.
    """

    def __init__(
        self,
        tx: Transaction,
        now: datetime,
        checkout_urls: Mapping[str, str],
        invoices: Iterable[Invoice],
    ) -> None:
        self._tx = tx
        self._now = now
        self._checkout_urls = checkout_urls
        self._invoices = {invoice.invoice_id: invoice for invoice in invoices}
        self._versions: dict[bytes, int] = {}
        self._homes: dict[bytes, bytes] = {}
        self._dirty: set[bytes] = set()
        self.posted: dict[bytes, frozenset[int]] = {}
        self.changes = 0

    def know_places(self, places: Mapping[bytes, DepositPlace]) -> None:
        for deposit_id, place in places.items():
            self._versions[deposit_id] = place.version
            if place.invoice_id is not None:
                self._homes[deposit_id] = place.invoice_id

    def take_deposit(self, event: DepositEvent) -> None:
        deposit_id = event.deposit.deposit_id
        if event.deposit.version <= self._versions.get(deposit_id, 0):
            return
        if event.invoice_id not in self._invoices:
            raise DepositOfUnknownInvoice(
                "a deposit names an invoice that is not stored",
                deposit=deposit_id.hex(),
                invoice=event.invoice_id.hex(),
            )
        self._leave_old_home(event)
        self._versions[deposit_id] = event.deposit.version
        self._homes[deposit_id] = event.invoice_id
        self._dirty.add(deposit_id)
        invoice = self._invoices[event.invoice_id]
        known = {deposit.deposit_id: deposit for deposit in invoice.deposits}
        before = known.get(deposit_id)
        known[deposit_id] = replace(
            event.deposit,
            first_seen_at=before.first_seen_at if before else event.deposit.first_seen_at,
            posted_epochs=self.posted.get(deposit_id, frozenset()),
        )
        reorged = event.deposit.state == DepositState.REVERSED
        self._evaluate(
            replace(invoice, deposits=tuple(known.values())),
            CauseType.REORG if reorged else CauseType.DEPOSIT,
            deposit_id,
            event.trace_id,
            report=before is None,
        )

    def _leave_old_home(self, event: DepositEvent) -> None:
        """A transaction mined again may pay another address at the same position: then it leaves
        its first invoice.
        """
        deposit_id = event.deposit.deposit_id
        home = self._homes.get(deposit_id)
        if home is None or home == event.invoice_id:
            return
        invoice = self._invoices[home]
        kept = tuple(d for d in invoice.deposits if d.deposit_id != deposit_id)
        left = replace(invoice, deposits=kept)
        self._evaluate(left, CauseType.REORG, deposit_id, event.trace_id, report=False)

    def take_credit(self, credit: PostedCredit) -> None:
        self._tx.put_credit(credit.deposit_id, credit.epoch, credit.transfer_id, self._now)
        home = self._homes.get(credit.deposit_id)
        if home is None:
            return  # The deposit's own event is still to come, and will find the credit.
        invoice = self._invoices[home]
        deposits = tuple(
            replace(deposit, posted_epochs=deposit.posted_epochs | {credit.epoch})
            if deposit.deposit_id == credit.deposit_id
            else deposit
            for deposit in invoice.deposits
        )
        self._evaluate(
            replace(invoice, deposits=deposits),
            CauseType.CREDIT,
            credit.deposit_id,
            credit.trace_id,
            report=False,
        )

    def expire(self) -> None:
        for invoice in list(self._invoices.values()):
            self._evaluate(
                invoice, CauseType.EXPIRY, invoice.invoice_id, invoice.cause.trace_id, report=False
            )

    def store_deposits(self) -> None:
        for invoice in self._invoices.values():
            for deposit in invoice.deposits:
                if deposit.deposit_id in self._dirty:
                    self._tx.put_deposit(invoice.invoice_id, deposit)

    def _evaluate(
        self,
        invoice: Invoice,
        cause_type: CauseType,
        subject: bytes,
        trace_id: str,
        *,
        report: bool,
    ) -> None:
        new = next_status(
            invoice.due(), invoice.deposits, expires_at=invoice.expires_at, now=self._now
        )
        self._invoices[invoice.invoice_id] = invoice
        if new == invoice.status and not report:
            return
        if new != invoice.status:
            check_transition(invoice.status, new)
        if invoice.status in PAID and new not in PAID:
            cause_type = CauseType.REORG
        cause = Cause(cause_type, subject, self._now, trace_id)
        change = Change(invoice.changes + 1, invoice.status, new, cause)
        moved = replace(invoice, status=new, changes=change.number, cause=cause)
        self._invoices[invoice.invoice_id] = moved
        self._tx.put_change(invoice.invoice_id, change)
        announce(self._tx, moved, change, self._checkout_urls)
        self.changes += 1
