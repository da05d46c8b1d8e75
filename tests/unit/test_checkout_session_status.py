"""A session says in three words what its invoice says."""

from datetime import UTC, datetime, timedelta

import pytest

from orion.billing.model import InvoiceStatus
from orion.billing.sessions.model import SessionStatus, session_status

END = datetime(2026, 1, 2, 12, tzinfo=UTC)
WORDS = {
    "open": ("new", "seen", "partially_paid", "confirming"),
    "complete": ("settled", "overpaid", "paid_late", "partially_refunded", "refunded"),
    "expired": ("expired", "underpaid", "cancelled"),
}


@pytest.mark.parametrize("late", [False, True])
def test_each_status_of_an_invoice_has_its_word(late: bool) -> None:
    now = END if late else END - timedelta(microseconds=1)
    found = {status.value: session_status(status, END, now).value for status in InvoiceStatus}
    wanted = {status: word for word, statuses in WORDS.items() for status in statuses}
    assert found == {**wanted, "invalid": "expired" if late else "open"}
    assert set(found.values()) == {word.value for word in SessionStatus}
