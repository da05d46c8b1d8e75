"""Billing's store on MySQL: one object a transaction, made of several parts over one cursor."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from orion.adapters.mysql import fence, idempotency, outbox
from orion.adapters.mysql.billing_facts import BillingFacts
from orion.adapters.mysql.billing_fees import BillingFees, plan_question
from orion.adapters.mysql.billing_invoices import FREE_WALLET, BillingInvoices, settings_question
from orion.adapters.mysql.billing_mending import BillingMending
from orion.adapters.mysql.billing_new import BillingNew
from orion.adapters.mysql.billing_places import BillingPlaces
from orion.adapters.mysql.billing_rates import BillingRates, choice_question, fixed_question
from orion.adapters.mysql.billing_sockets import BillingSockets
from orion.adapters.mysql.billing_webhooks import BillingWebhooks, endpoints_question
from orion.adapters.mysql.one_trip import Question
from orion.adapters.mysql.session import BeginAgain, Cursor, Database
from orion.billing.invoice import Invoice
from orion.billing.ports import Answer, Expected, KeyedAnswer, KeyedRequest, Message, Transaction
from orion.billing.sockets import SocketTransaction
from orion.errors import OrionError
from orion.records import Record, canonical_json

T = TypeVar("T")


class MySqlBillingTransaction(
    BillingInvoices,
    BillingNew,
    BillingFacts,
    BillingPlaces,
    BillingMending,
    BillingFees,
    BillingRates,
    BillingWebhooks,
    BillingSockets,
):
    """The port `Transaction` over the cursor of one transaction."""

    def __init__(self, cursor: Cursor) -> None:
        super().__init__(cursor)
        # Whoever changes an invoice locks it first, so these are all that may have changed.
        self.touched: set[bytes] = set()

    def lock_invoices(self, invoice_ids: Sequence[bytes]) -> Sequence[Invoice]:
        self.touched.update(invoice_ids)
        return super().lock_invoices(invoice_ids)

    def once(self, request: KeyedRequest, now: datetime, work: Callable[[], Answer]) -> Answer:
        def kept() -> idempotency.Answer:
            answer = work()
            return idempotency.Answer(answer.status, answer.body, answer.kept)

        stored = idempotency.once(
            self._cursor,
            scope=request.merchant_id,
            key=request.key,
            route=request.route,
            request_hash=request.request_hash,
            now=now,
            work=kept,
        )
        return Answer(stored.status, stored.body, stored.kept, stored.replayed)

    def once_expecting(
        self,
        request: KeyedRequest,
        expected: Expected,
        work: Callable[[], tuple[Answer, Callable[[KeyedAnswer], None]]],
    ) -> Answer:
        key = idempotency.question(request.merchant_id, request.key)
        self._read_ahead([key, *_questions(expected)])
        stored = idempotency.kept(self._ask(key), request.route, request.request_hash)
        if stored is not None:
            return Answer(stored.status, stored.body, stored.kept, stored.replayed)
        try:
            answer, write = work()
        except OrionError:
            # What is refused now may be what the first request with this key has taken.
            self._wait_for_first(request)
            raise
        write(KeyedAnswer(request, answer))
        return answer

    def _wait_for_first(self, request: KeyedRequest) -> None:
        now = datetime.now(UTC)
        scope, key = request.merchant_id, request.key
        if not idempotency.claim(
            self._cursor, scope, key, request.route, request.request_hash, now
        ):
            raise BeginAgain

    def expect(self, expected: Expected) -> None:
        self._read_ahead(_questions(expected))

    def fresh(self, records: Sequence[Record]) -> Sequence[Record]:
        return fence.fresh(self._cursor, records)

    def tell(self, messages: Sequence[Message], now: datetime) -> None:
        rows = [
            outbox.OutboxRow(m.event_id, m.destination, m.key.encode(), canonical_json(m.body))
            for m in messages
        ]
        outbox.append(self._cursor, rows, now)


def _questions(expected: Expected) -> Sequence[Question]:
    """What making an invoice asks (billing/creation.py). One that is missing here costs a round
    trip more, one too many a read; neither is wrong.
    """
    merchant_id = expected.merchant_id
    return [
        plan_question(merchant_id, expected.lane),
        choice_question(merchant_id),
        fixed_question(merchant_id, expected.currency, expected.assets),
        FREE_WALLET,
        settings_question(merchant_id),
        endpoints_question(merchant_id),
    ]


def _nobody(invoice_ids: frozenset[bytes], told: int) -> None:
    """Nothing remembers what an invoice was."""


class MySqlBillingStore:
    """The ports `BillingStore` and `SocketStore`. Deadlocks and lock time-outs repeat the whole
    work, at most three times.

    Pages that are open on an invoice are told of its changes by the same transaction, through the
    outbox. `committed` learns which invoices may have changed, and how many messages wait for
    them, when that may be committed and before `transact` returns; it must not raise.
    """

    def __init__(
        self, database: Database, committed: Callable[[frozenset[bytes], int], None] = _nobody
    ) -> None:
        self._database = database
        self._committed = committed

    def transact(self, work: Callable[[Transaction], T]) -> T:
        touched: frozenset[bytes] = frozenset()
        told = 0

        def whole(cursor: Cursor) -> T:
            nonlocal touched, told
            tx = MySqlBillingTransaction(cursor)
            found = work(tx)
            tx.settle_places()
            now = datetime.now(UTC)
            messages = tx.tell_pages(tx.touched, now)
            tx.tell(messages, now)
            touched, told = frozenset(tx.touched), len(messages)
            return found

        try:
            return self._database.run(whole)
        finally:
            # Also when the outcome of the commit is unknown.
            if touched:
                self._committed(touched, told)

    def sockets(self, work: Callable[[SocketTransaction], T]) -> T:
        return self._database.run(lambda cursor: work(MySqlBillingTransaction(cursor)))
