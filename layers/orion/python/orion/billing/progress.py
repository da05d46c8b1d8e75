"""What moves invoices after their creation: deposits, posted credits and refunds, and time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from orion.billing.errors import DepositOfUnknownInvoice, RefundOfUnknownInvoice
from orion.billing.fact_records import (
    DepositEvent,
    PostedCredit,
    PostedRefund,
    read_deposit,
    read_posted,
)
from orion.billing.fees.posted import FinalCredit
from orion.billing.fees.taking import FeeTaking
from orion.billing.invoice import Cause, Invoice
from orion.billing.model import CauseType, DepositState
from orion.billing.moving import follow_facts
from orion.billing.ports import BillingStore, DepositPlace, Message, Transaction
from orion.records import Record

EXPIRY_BATCH = 100
EXPIRY_BATCHES = 20
_TRANSFERS = "kafka:ledger.transfers"
_CAUSES = {DepositState.REVERSED: CauseType.REORG, DepositState.INVALID: CauseType.INVALID}


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
        final = [event for event in events if event.deposit.state is DepositState.FINAL]
        fees = FeeTaking(tx, now, sorted({event.deposit.deposit_id for event in final}))
        wanted = {event.invoice_id for event in events} | fees.invoices()
        wanted |= {place.invoice_id for place in places.values() if place.invoice_id is not None}
        work = _Work(tx, now, self._checkout_urls, tx.lock_invoices(sorted(wanted)))
        work.know_places(places)
        work.posted = dict(tx.posted_epochs(sorted(places)))
        for event in events:
            work.take_deposit(event)
        work.store_deposits()
        for event in final:
            deposit = event.deposit
            fees.name_invoice(
                deposit.deposit_id, deposit.credit_epoch, event.invoice_id, event.trace_id
            )
        return work.changes + self._send(tx, fees, now)

    def _apply_posted(self, tx: Transaction, records: Sequence[Record]) -> int:
        now = self._clock()
        posted = [fact for record in tx.fresh(records) for fact in read_posted(record, now)]
        credited = {fact.deposit_id for fact in posted if isinstance(fact, PostedCredit)}
        final = [fact for fact in posted if isinstance(fact, FinalCredit)]
        finals = {fact.deposit_id for fact in final}
        locked = tx.lock_deposits(sorted(credited | finals))
        places = {identity: place for identity, place in locked.items() if identity in credited}
        fees = FeeTaking(tx, now, sorted(finals))
        wanted = {place.invoice_id for place in places.values() if place.invoice_id is not None}
        wanted |= fees.invoices()
        wanted |= {fact.invoice_id for fact in posted if isinstance(fact, PostedRefund)}
        work = _Work(tx, now, self._checkout_urls, tx.lock_invoices(sorted(wanted)))
        work.know_places(places)
        for fact in posted:
            if isinstance(fact, PostedCredit):
                work.take_credit(fact)
            elif isinstance(fact, PostedRefund):
                work.take_refund(fact)
        for credit in final:
            fees.posted(credit)
        return work.changes + self._send(tx, fees, now)

    def _send(self, tx: Transaction, fees: FeeTaking, now: datetime) -> int:
        """Take the fees that are due now; how many records their transfers make."""
        found = fees.settle()
        messages = [Message(_TRANSFERS, one.key, one.body, one.event_id) for one in found]
        tx.tell(messages, now)
        return len(messages)

    def _expire(self, tx: Transaction) -> tuple[int, int]:
        now = self._clock()
        ids = tx.waking(now, EXPIRY_BATCH)
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
        deposit_id, invoice_id = event.deposit.deposit_id, event.invoice_id
        if event.deposit.version <= self._versions.get(deposit_id, 0):
            return
        if invoice_id not in self._invoices:
            raise DepositOfUnknownInvoice(
                "a deposit names an invoice that is not stored",
                deposit=deposit_id.hex(),
                invoice=invoice_id.hex(),
            )
        self._leave_old_home(event)
        self._versions[deposit_id] = event.deposit.version
        self._homes[deposit_id] = invoice_id
        self._dirty.add(deposit_id)
        invoice = self._invoices[invoice_id]
        known = {deposit.deposit_id: deposit for deposit in invoice.deposits}
        before = known.get(deposit_id)
        posted = self.posted.get(deposit_id, frozenset())
        told = replace(event.deposit, posted_epochs=posted)
        known[deposit_id] = told if before is None else before.told(told)
        self._evaluate(
            replace(invoice, deposits=tuple(known.values())),
            _CAUSES.get(event.deposit.state, CauseType.DEPOSIT),
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

    def take_refund(self, posted: PostedRefund) -> None:
        invoice = self._invoices.get(posted.invoice_id)
        if invoice is None:
            raise RefundOfUnknownInvoice(
                "a refund names an invoice that is not stored",
                refund=posted.refund.refund_id.hex(),
                invoice=posted.invoice_id.hex(),
            )
        if any(known.transfer_id == posted.refund.transfer_id for known in invoice.refunds):
            return
        self._tx.put_refund(posted.invoice_id, posted.refund)
        self._evaluate(
            replace(invoice, refunds=(*invoice.refunds, posted.refund)),
            CauseType.REFUND,
            posted.refund.refund_id,
            posted.trace_id,
            report=True,
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
                    self._tx.put_deposit(invoice, deposit)

    def _evaluate(
        self,
        invoice: Invoice,
        cause_type: CauseType,
        subject: bytes,
        trace_id: str,
        *,
        report: bool,
    ) -> None:
        cause = Cause(cause_type, subject, self._now, trace_id)
        moved = follow_facts(self._tx, invoice, cause, self._checkout_urls, report=report)
        self._invoices[invoice.invoice_id] = moved
        self.changes += moved.changes - invoice.changes
