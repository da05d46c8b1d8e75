"""What moves invoices after their creation: deposits, posted credits and refunds, and time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

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
from orion.billing.model import CauseType, Deposit, DepositState, reported
from orion.billing.moving import follow_facts
from orion.billing.ports import BillingStore, DepositPlace, LostDeposit, Message, Transaction
from orion.records import Record

EXPIRY_BATCH = 100
EXPIRY_BATCHES = 20
REVERSED_MAX = timedelta(hours=2)
LOST_MAX = 1_000
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
        """Move invoices whose time is over, at most EXPIRY_BATCH × EXPIRY_BATCHES of each kind; how
        many changed. Also mends what code older than a migration left.
        """
        changed = 0
        for _ in range(EXPIRY_BATCHES):
            more, moved = self._store.transact(self._expire)
            changed += moved
            if not more:
                break
        self._store.transact(lambda tx: tx.adopt_deposits(EXPIRY_BATCH))
        return changed

    def lost_deposits(self) -> Sequence[LostDeposit]:
        """Deposits that have been reversed for longer than REVERSED_MAX, at most LOST_MAX: a lost
        block's payments are normally in the next ones.
        """
        now = self._clock()
        return self._store.transact(lambda tx: tx.reversed_since(now - REVERSED_MAX, now, LOST_MAX))

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
        for event in events:
            work.take_deposit(event)
        work.store()
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
        work.store()
        for credit in final:
            fees.posted(credit)
        return work.changes + self._send(tx, fees, now)

    def _send(self, tx: Transaction, fees: FeeTaking, now: datetime) -> int:
        """Take the fees that are due now; how many records their transfers make."""
        found = fees.settle()
        messages = [Message(_TRANSFERS, one.key, one.body, one.event_id) for one in found]
        tx.tell(messages, now)
        return len(messages)

    def _expire(self, tx: Transaction) -> tuple[bool, int]:
        """Whether there may be more, and how many changed."""
        now = self._clock()
        found = (
            tx.waking(now, EXPIRY_BATCH),
            # Of links: what time ends without a change of status, or what old code ended.
            tx.places_over(now, EXPIRY_BATCH),
            tx.sleeping(EXPIRY_BATCH),
        )
        ids = {invoice_id for some in found for invoice_id in some}
        work = _Work(tx, now, self._checkout_urls, tx.lock_invoices(sorted(ids)))
        work.expire()
        return any(len(some) == EXPIRY_BATCH for some in found), work.changes


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
        self._places: dict[bytes, DepositPlace] = {}
        self._deposits: set[bytes] = set()
        self._summed: set[bytes] = set()
        self.changes = 0

    def know_places(self, places: Mapping[bytes, DepositPlace]) -> None:
        self._places.update(places)

    def take_deposit(self, event: DepositEvent) -> None:
        deposit_id, invoice_id = event.deposit.deposit_id, event.invoice_id
        place = self._places[deposit_id]
        if event.deposit.version <= place.version:
            return
        if invoice_id not in self._invoices:
            raise DepositOfUnknownInvoice(
                "a deposit names an invoice that is not stored",
                deposit=deposit_id.hex(),
                invoice=invoice_id.hex(),
            )
        before = place.deposit if place.invoice_id == invoice_id else None
        if before is None and place.deposit is not None and place.invoice_id is not None:
            self._leave_old_home(place.invoice_id, place.deposit, event.trace_id)
        told = replace(event.deposit, posted_epochs=place.posted_epochs)
        after = told if before is None else before.told(told)
        self._keep(invoice_id, after)
        self._deposits.add(deposit_id)
        invoice = self._invoices[invoice_id]
        self._evaluate(
            invoice.with_deposit(before, after),
            _CAUSES.get(event.deposit.state, CauseType.DEPOSIT),
            deposit_id,
            event.trace_id,
            report=before is None and reported(invoice.due(), after, invoice.changes),
        )

    def _leave_old_home(self, home: bytes, deposit: Deposit, trace_id: str) -> None:
        """A transaction mined again may pay another address at the same position: then it leaves
        its first invoice.
        """
        left = self._invoices[home].without_deposit(deposit)
        self._evaluate(left, CauseType.REORG, deposit.deposit_id, trace_id, report=False)

    def _keep(self, invoice_id: bytes, deposit: Deposit) -> None:
        self._places[deposit.deposit_id] = DepositPlace(
            deposit.version, invoice_id, deposit.posted_epochs, deposit
        )

    def take_credit(self, credit: PostedCredit) -> None:
        self._tx.put_credit(credit.deposit_id, credit.epoch, credit.transfer_id, self._now)
        place = self._places[credit.deposit_id]
        if credit.epoch in place.posted_epochs:
            return
        epochs = place.posted_epochs | {credit.epoch}
        if place.invoice_id is None or place.deposit is None:
            # The deposit's own event is still to come, and will find the credit.
            self._places[credit.deposit_id] = replace(place, posted_epochs=epochs)
            return
        after = replace(place.deposit, posted_epochs=epochs)
        self._keep(place.invoice_id, after)
        self._evaluate(
            self._invoices[place.invoice_id].with_deposit(place.deposit, after),
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
        if not self._tx.put_refund(posted.invoice_id, posted.refund):
            return
        self._evaluate(
            invoice.with_refund(posted.refund),
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

    def store(self) -> None:
        """Each deposit and the sums of each invoice once, however many facts changed them."""
        for deposit_id in sorted(self._deposits):
            place = self._places[deposit_id]
            if place.deposit is not None and place.invoice_id is not None:
                home = self._invoices[place.invoice_id]
                self._tx.put_deposit(home, place.deposit, self._now)
        for invoice_id in sorted(self._summed):
            self._tx.put_sums(self._invoices[invoice_id])

    def _evaluate(
        self,
        invoice: Invoice,
        cause_type: CauseType,
        subject: bytes,
        trace_id: str,
        *,
        report: bool,
    ) -> None:
        # After each fact, not once a batch: the sums make it cheap, and a payment that is reversed
        # and can never confirm in one batch was waited for in between, as the table of transitions
        # says.
        if invoice.sums != self._invoices[invoice.invoice_id].sums:
            self._summed.add(invoice.invoice_id)
        cause = Cause(cause_type, subject, self._now, trace_id)
        moved = follow_facts(self._tx, invoice, cause, self._checkout_urls, report=report)
        self._invoices[invoice.invoice_id] = moved
        self.changes += moved.changes - invoice.changes
