"""Takes the fee of each final credit once, and gives it back when the credit is reversed.

Two facts come in any order, each under the lock of the deposit's row: the deposit's own event names
the invoice, the ledger says what it posted. Whoever completes them assesses and sends, in the
transaction that moves the consumer's offset (docs/fees.md, "When it is taken").
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from orion.billing.fees.errors import FeeOfAnotherMerchant
from orion.billing.fees.model import assess
from orion.billing.fees.ports import (
    Assessed,
    FeeFact,
    FeeKey,
    FeeOfInvoice,
    FeeTransaction,
    Standing,
    Volume,
)
from orion.billing.fees.posted import FinalCredit
from orion.billing.fees.transfers import FeeTransfer, TransfersRecord, records
from orion.ledger.codes import Code
from orion.money import asset


class FeeTaking:
    """The fees of one transaction, whose deposits are locked. Before the invoices are locked, ask
    `invoices`; they must be locked before `settle`.
    """

    def __init__(self, tx: FeeTransaction, now: datetime, deposit_ids: Sequence[bytes]) -> None:
        self._tx = tx
        self._now = now
        self._facts = dict(tx.fee_facts(deposit_ids))
        # What was learnt here, in order, with the trace of what completed it.
        self._learnt: dict[FeeKey, str] = {}

    def invoices(self) -> frozenset[bytes]:
        """Every invoice that a known fact names and that agreed on a fee."""
        named = {fact.invoice_id for fact in self._facts.values()}
        known = sorted(invoice_id for invoice_id in named if invoice_id is not None)
        return frozenset(self._tx.invoice_fees(known))

    def name_invoice(self, deposit_id: bytes, epoch: int, invoice_id: bytes, trace_id: str) -> None:
        """The deposit's event says that it is final under `epoch`, for this invoice."""
        fact = self._fact(deposit_id, epoch)
        self._learn(replace(fact, invoice_id=invoice_id), trace_id)

    def posted(self, credit: FinalCredit) -> None:
        """The ledger posted a final credit, or its reversal."""
        fact = self._fact(credit.deposit_id, credit.epoch)
        if credit.reversed:
            self._learn(replace(fact, reversed=True), credit.trace_id)
            return
        learnt = replace(
            fact, merchant_id=credit.merchant_id, asset=credit.asset, units=credit.units
        )
        self._learn(learnt, credit.trace_id)

    def settle(self) -> Sequence[TransfersRecord]:
        """Store what was learnt, assess what is complete, return what was reversed; the records to
        send. Raises FeeOfAnotherMerchant.
        """
        if not self._learnt:
            return []
        facts = [self._facts[key] for key in self._learnt]
        self._tx.put_fee_facts(facts)
        ready = [fact for fact in facts if fact.invoice_id is not None and fact.units is not None]
        if not ready:
            return []
        invoice_ids = sorted({fact.invoice_id for fact in ready if fact.invoice_id is not None})
        books = _Books(self._tx, self._now, invoice_ids, ready)
        for fact in ready:
            books.judge(fact, self._learnt[fact.key])
        books.store()
        return [record for trace_id, some in books.sent() for record in records(some, trace_id)]

    def _fact(self, deposit_id: bytes, epoch: int) -> FeeFact:
        return self._facts.get((deposit_id, epoch), FeeFact(deposit_id, epoch))

    def _learn(self, fact: FeeFact, trace_id: str) -> None:
        if self._facts.get(fact.key) != fact:
            self._facts[fact.key] = fact
            self._learnt.pop(fact.key, None)
            self._learnt[fact.key] = trace_id


class _Books:
    """What locked invoices agreed on and where they stand, while complete facts are judged."""

    def __init__(
        self,
        tx: FeeTransaction,
        now: datetime,
        invoice_ids: Sequence[bytes],
        facts: Sequence[FeeFact],
    ) -> None:
        self._tx = tx
        self._now = now
        self._agreed = tx.invoice_fees(invoice_ids)
        agreed = sorted(self._agreed)
        self._standings = dict(tx.standings(agreed))
        deposits = sorted({f.deposit_id for f in facts if f.invoice_id in self._agreed})
        self._assessed = dict(tx.assessments(deposits))
        self._new: list[Assessed] = []
        self._returned: list[Assessed] = []
        self._transfers: dict[str, list[FeeTransfer]] = {}
        # Units, and how many payments have none because their value is not known.
        self._volumes: dict[tuple[bytes, str], tuple[int, int]] = {}

    def judge(self, fact: FeeFact, trace_id: str) -> None:
        """Assess a complete fact that was not, or return what was assessed."""
        agreed = self._agreed.get(fact.invoice_id or b"")
        if agreed is None:
            return  # No fee was agreed for this invoice, and none is ever taken.
        stored = self._assessed.get(fact.key)
        if stored is None and not fact.reversed:
            self._assess(fact, agreed, trace_id)
        elif stored is not None and fact.reversed and stored.returned_number is None:
            self._return(stored, agreed, trace_id)

    def _assess(self, fact: FeeFact, agreed: FeeOfInvoice, trace_id: str) -> None:
        invoice_id, code, units = fact.invoice_id, fact.asset, fact.units
        if invoice_id is None or code is None or units is None:
            return
        if fact.merchant_id != agreed.merchant_id:
            raise FeeOfAnotherMerchant(
                "a final credit and its invoice name two merchants", deposit=fact.deposit_id.hex()
            )
        standing = self._standings.get(invoice_id, Standing())
        open_units = agreed.terms.fixed_units - standing.taken_units
        rate = agreed.rates.get(code)
        fee = assess(
            agreed.terms,
            units,
            open_units=open_units,
            rate=rate,
            coin=asset(code),
            money=asset(agreed.currency),
            referred=agreed.referrer_id is not None,
        )
        assessed = Assessed(
            deposit_id=fact.deposit_id,
            epoch=fact.epoch,
            invoice_id=invoice_id,
            number=standing.last_number + 1,
            asset=code,
            units=units,
            rate=rate,
            open_before=open_units,
            fee=fee,
            assessed_at=self._now,
            trace_id=trace_id,
        )
        self._new.append(assessed)
        self._stand(assessed, assessed.number, fee.fixed_taken)
        self._count(agreed, fee.value_units, 1)
        self._send(Code.FEE, agreed.merchant_id, assessed, fee.fee_units, trace_id)
        self._send(Code.REFERRAL_SHARE, agreed.referrer_id, assessed, fee.share_units, trace_id)

    def _return(self, stored: Assessed, agreed: FeeOfInvoice, trace_id: str) -> None:
        standing = self._standings.get(stored.invoice_id, Standing())
        number = standing.last_number + 1
        returned = replace(stored, returned_number=number, returned_at=self._now)
        self._returned.append(returned)
        self._stand(returned, number, -stored.fee.fixed_taken)
        self._count(agreed, stored.fee.value_units, -1)
        fee, share = stored.fee.fee_units, stored.fee.share_units
        self._send(Code.FEE_RETURNED, agreed.merchant_id, stored, fee, trace_id)
        self._send(Code.REFERRAL_RETURNED, agreed.referrer_id, stored, share, trace_id)

    def _stand(self, assessed: Assessed, number: int, taken: int) -> None:
        before = self._standings.get(assessed.invoice_id, Standing())
        after = Standing(number, before.taken_units + taken)
        self._standings[assessed.invoice_id] = after
        self._assessed[assessed.key] = assessed

    def _count(self, agreed: FeeOfInvoice, value: int | None, sign: int) -> None:
        place = (agreed.merchant_id, agreed.currency)
        units, unvalued = self._volumes.get(place, (0, 0))
        if value is None:
            self._volumes[place] = (units, unvalued + sign)
        else:
            self._volumes[place] = (units + sign * value, unvalued)

    def _send(
        self, code: Code, merchant_id: bytes | None, of: Assessed, units: int, trace_id: str
    ) -> None:
        if merchant_id is not None and units:
            transfer = FeeTransfer(code, merchant_id, of.asset, units, of.deposit_id, of.epoch)
            self._transfers.setdefault(trace_id, []).append(transfer)

    def store(self) -> None:
        """Write what was judged. Volumes last and in order: nothing is locked after them."""
        self._tx.add_assessments(self._new)
        self._tx.return_assessments(self._returned)
        day = self._now.date()
        self._tx.add_volumes(
            [
                Volume(merchant_id, day, currency, units, unvalued)
                for (merchant_id, currency), (units, unvalued) in sorted(self._volumes.items())
                if units or unvalued
            ]
        )

    def sent(self) -> Iterable[tuple[str, Sequence[FeeTransfer]]]:
        """The transfers to send, by the trace of what completed them."""
        return self._transfers.items()
