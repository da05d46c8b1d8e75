"""Pages that are open on an invoice: who may connect, and what they are told. Nothing but "look
again" is said, so a message may come twice, late or in any order (docs/checkout.md, "Live status").
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from orion.billing.errors import InvoiceNotFound
from orion.billing.ports import Message
from orion.billing.reading import Fields
from orion.errors import OrionError
from orion.ids import random_id
from orion.records import MalformedRecord

T = TypeVar("T")

# API Gateway's own limit of a WebSocket connection ("Quotas for configuring and running a WebSocket
# API"); the row outlives it by a little, so that none expires before its connection.
LIFE = timedelta(hours=2, minutes=5)
MAX_OF_INVOICE = 8
# Connections that one message names: what one reader takes from any sender.
MAX_TOLD = 100
FORGET_BATCH = 1_000
FORGET_BATCHES = 20
MESSAGES_QUEUE = "sqs:socket-messages"
_CONNECTION_ID = re.compile(r"[A-Za-z0-9_=+/-]{1,128}", re.ASCII)


class TooManySockets(OrionError):
    """Enough pages are connected; this one asks instead."""

    code = "rate_limited"


@dataclass(frozen=True, slots=True)
class Connection:
    """One open page."""

    connection_id: str
    invoice_id: bytes
    opened_at: datetime
    expires_at: datetime


def connection_of(connection_id: str, invoice_id: bytes, now: datetime) -> Connection:
    """Raises MalformedRecord for an id that API Gateway cannot have made."""
    return Connection(check_connection_id(connection_id), invoice_id, now, now + LIFE)


def check_connection_id(text: str) -> str:
    """The id itself. Raises MalformedRecord."""
    if not _CONNECTION_ID.fullmatch(text):
        raise MalformedRecord("this is no connection id")
    return text


def look_again(invoice_id: bytes, connections: Sequence[str]) -> Message:
    """Tell these pages of an invoice that it changed. Each call is a message of its own."""
    told = random_id()
    body = {"v": 1, "trace_id": told.hex(), "connections": list(connections)}
    return Message(MESSAGES_QUEUE, invoice_id.hex(), body, told)


def read_connections(body: Mapping[str, object]) -> Sequence[str]:
    """The connections that a message of `socket-messages` or `socket-gone` names. Raises
    MalformedRecord.
    """
    Fields(body).trace_id()
    found = body.get("connections")
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_TOLD:
        raise MalformedRecord("the message names no connections, or too many")
    return [check_connection_id(str(item)) for item in found]


class SocketTransaction(Protocol):
    """One READ COMMITTED transaction over billing's schema."""

    def lock_for_sockets(self, invoice_id: bytes) -> bool:
        """Lock the invoice's row; False when there is none. Whoever changes the invoice holds the
        same lock, so a connection is stored before the change, or after it is committed.
        """
        ...

    def count_sockets(self, invoice_id: bytes, now: datetime) -> int:
        """Connections of the invoice that have not expired."""
        ...

    def add_socket(self, connection: Connection) -> None:
        """Store a connection; a known id is replaced."""
        ...

    def drop_sockets(self, connection_ids: Sequence[str]) -> int:
        """Remove these, whether they are known or not; how many were."""
        ...

    def drop_expired_sockets(self, now: datetime, limit: int) -> int:
        """Remove at most `limit` that have expired, oldest first; how many."""
        ...


class SocketStore(Protocol):
    """Transactions over billing's schema."""

    def sockets(self, work: Callable[[SocketTransaction], T]) -> T:
        """`work` in one transaction, repeated as a whole after a deadlock. Raises
        `temporarily_unavailable`.
        """
        ...


class Sockets:
    """Who is connected. Each method is one transaction."""

    def __init__(self, store: SocketStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def open(self, connection_id: str, invoice_id: bytes) -> None:
        """Remember a page. Raises MalformedRecord, InvoiceNotFound, TooManySockets."""
        now = self._clock()
        connection = connection_of(connection_id, invoice_id, now)

        def add(tx: SocketTransaction) -> None:
            # The lock comes first: it makes the count exact and no change pass unseen.
            if not tx.lock_for_sockets(invoice_id):
                raise InvoiceNotFound("no such invoice")
            if tx.count_sockets(invoice_id, now) >= MAX_OF_INVOICE:
                raise TooManySockets("enough pages of this invoice are connected")
            tx.add_socket(connection)

        self._store.sockets(add)

    def closed(self, connection_ids: Sequence[str]) -> int:
        """Forget pages that are gone; how many were known. Raises MalformedRecord."""
        ids = [check_connection_id(text) for text in connection_ids[:MAX_TOLD]]
        return self._store.sockets(lambda tx: tx.drop_sockets(ids))

    def forget_expired(self) -> int:
        """Remove what has expired, at most FORGET_BATCH × FORGET_BATCHES rows."""
        now, gone = self._clock(), 0
        for _ in range(FORGET_BATCHES):
            found = self._store.sockets(lambda tx: tx.drop_expired_sockets(now, FORGET_BATCH))
            gone += found
            if found < FORGET_BATCH:
                break
        return gone
