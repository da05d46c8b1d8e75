"""Where the time of a payment went, read afterwards from what the system stored about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from infra.local import Stack
from orion.ids import parse_public_id
from tests.bench.bare_path import read_topic
from tests.e2e.scene import rows

# Each hop ends where the next begins.
HOPS = (
    "block ordered → its record made by the agent (node, notification, decoding)",
    "→ moneyin's function has the record (Kafka, poller, invocation)",
    "→ deposit record made by moneyin's relay (commit, wake-up, invocation)",
    "→ billing's function has the record (Kafka, poller, invocation)",
    "→ webhook taken by the queue from billing's relay (commit, wake-up, invocation)",
    "→ webhook at the merchant's endpoint (queue, invocation, KMS, HTTP)",
)


@dataclass(frozen=True, slots=True)
class Settled:
    """One payment. `ordered_at`: when the settling block was asked for, in seconds since 1970.
    `took_s`: from there until the webhook arrived.
    """

    invoice_id: str
    block_hash: str
    ordered_at: float
    took_s: float


class Hops:
    """Reads the topics once, then the database for each payment."""

    def __init__(self, stack: Stack, chain: str) -> None:
        self._stack = stack
        self._blocks = {
            str(body["hash"]): made_ms / 1000
            for made_ms, body in read_topic(stack, f"chain.blocks.{chain}")
            if body["kind"] == "connected"
        }
        self._deposits = {
            (str(body["deposit_id"]), int(body["version"])): made_ms / 1000
            for made_ms, body in read_topic(stack, "moneyin.deposits")
        }

    def of(self, paid: Settled) -> Sequence[float]:
        """Seconds of each hop, in the order of HOPS. Stored times have milliseconds or better."""
        invoice_id = parse_public_id("inv", paid.invoice_id)
        (moved,) = rows(
            self._stack,
            "SELECT LOWER(HEX(h.deposit_id)), h.version, h.at FROM orion_moneyin.deposit_history h"
            " JOIN orion_moneyin.deposit d USING (deposit_id)"
            " WHERE d.invoice_id = %s AND h.state = 'confirmed'",
            (invoice_id,),
        )
        (changed,) = rows(
            self._stack,
            "SELECT c.at, o.sent_at FROM orion_billing.invoice_change c"
            " JOIN orion_billing.webhook_delivery w"
            " ON w.object_id = c.invoice_id AND w.number = c.number"
            " JOIN orion_billing.outbox o ON o.destination = 'sqs:webhooks'"
            " AND JSON_VALUE(o.payload, '$.delivery_id') = LOWER(HEX(w.delivery_id))"
            " WHERE c.invoice_id = %s AND c.to_status = 'settled'",
            (invoice_id,),
        )
        marks = (
            paid.ordered_at,
            self._blocks[paid.block_hash],
            _seconds(moved[2]),
            self._deposits[str(moved[0]), int(moved[1])],
            _seconds(changed[0]),
            _seconds(changed[1]),
            paid.ordered_at + paid.took_s,
        )
        return [after - before for before, after in pairwise(marks)]


def _seconds(stored: datetime) -> float:
    return stored.replace(tzinfo=UTC).timestamp()
