"""Which invoices a merchant wants to see, and where a page of them goes on."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta

from orion.billing.errors import CursorMalformed
from orion.billing.model import InvoiceStatus
from orion.ids import ID_BYTES, moment_prefix

_CURSOR_VERSION = b"\x01"
# No identity is below sixteen zeros or above sixteen times 255: its version bits say 7.
_LOWEST, _ABOVE_ALL = bytes(ID_BYTES), b"\xff" * ID_BYTES
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A selection of one merchant's invoices; None is no condition. `created_from` is included,
    `created_to` is not, both to the millisecond; `before` is the id that the page before ended
    with.
    """

    status: InvoiceStatus | None = None
    reference: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    before: bytes | None = None

    def ids(self) -> tuple[bytes, bytes]:
        """The range of ids, from the first to below the second: ids begin with the millisecond of
        their creation, so a range of time needs no index of its own.
        """
        lowest = _LOWEST if self.created_from is None else _first_id(self.created_from)
        above = _ABOVE_ALL if self.created_to is None else _first_id(self.created_to)
        return lowest, above if self.before is None else min(above, self.before)


def _first_id(at: datetime) -> bytes:
    # A bound between two milliseconds lets in what was created in the later one.
    whole = at.replace(microsecond=at.microsecond // 1_000 * 1_000)
    return moment_prefix(whole if whole == at else whole + _MILLISECOND).ljust(ID_BYTES, b"\x00")


def cursor_of(invoice_id: bytes) -> str:
    """Where the page that ended with this invoice goes on."""
    return base64.urlsafe_b64encode(_CURSOR_VERSION + invoice_id).decode().rstrip("=")


def read_cursor(text: str) -> bytes:
    """The invoice that a page ended with. Raises CursorMalformed."""
    if len(text) != 23:
        raise CursorMalformed("no page ended with this cursor")
    try:
        value = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise CursorMalformed("no page ended with this cursor") from exc
    if len(value) != 1 + ID_BYTES or value[:1] != _CURSOR_VERSION or cursor_of(value[1:]) != text:
        raise CursorMalformed("no page ended with this cursor")
    return value[1:]
