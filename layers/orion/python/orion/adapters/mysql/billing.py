"""Billing's store on MySQL: one object a transaction, made of three parts over one cursor."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from orion.adapters.mysql import fence, idempotency, outbox
from orion.adapters.mysql.billing_facts import BillingFacts
from orion.adapters.mysql.billing_invoices import BillingInvoices
from orion.adapters.mysql.billing_webhooks import BillingWebhooks
from orion.adapters.mysql.session import Database
from orion.billing.ports import Answer, KeyedRequest, Message, Transaction
from orion.records import Record, canonical_json

T = TypeVar("T")


class MySqlBillingTransaction(BillingInvoices, BillingFacts, BillingWebhooks):
    """The port `Transaction` over the cursor of one transaction."""

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

    def fresh(self, records: Sequence[Record]) -> Sequence[Record]:
        return fence.fresh(self._cursor, records)

    def tell(self, messages: Sequence[Message], now: datetime) -> None:
        rows = [
            outbox.OutboxRow(m.event_id, m.destination, m.key.encode(), canonical_json(m.body))
            for m in messages
        ]
        outbox.append(self._cursor, rows, now)


class MySqlBillingStore:
    """The port `BillingStore`. Deadlocks and lock time-outs repeat the whole work, at most three
    times.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def transact(self, work: Callable[[Transaction], T]) -> T:
        return self._database.run(lambda cursor: work(MySqlBillingTransaction(cursor)))
