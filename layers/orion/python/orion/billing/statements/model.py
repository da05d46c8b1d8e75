"""A merchant's statement of one account: whose it is, which lines, and how a line reads. Pure.

The ledger's own statements (docs/ledger.md, "Statements") have the lines; here they get a period,
amounts with decimals, and the balance before each.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from orion.billing.moments import Period
from orion.ids import public_id
from orion.ledger.codes import OWNERS, Purpose
from orion.ledger.model import AccountKey, Counters, Side
from orion.ledger.statement import Line, Order, Page, Place, Question, cursor_text, read_cursor
from orion.ledger.transfer_record import rfc3339
from orion.money import Amount, Asset, asset
from orion.records import parse_object

LINES_MAX = 500
LINES_DEFAULT = 100
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)
_MERCHANTS = OWNERS[Purpose.AVAILABLE]
# Accounts that a merchant has of one asset.
ACCOUNTS = tuple(sorted(p.value for p in Purpose if OWNERS[p] == _MERCHANTS))
# What moves the posted counters; all else moves pending ones only.
_POSTING = frozenset({"direct", "post"})
# Public prefix of each identity that a cause may name.
_NAMED = {"deposit_id": ("payment_id", "dep"), "invoice_id": ("invoice_id", "inv")}


@dataclass(frozen=True, slots=True)
class Asked:
    """One page of one merchant's account."""

    key: AccountKey
    coin: Asset
    period: Period
    order: Order
    limit: int
    after: Place | None


def read_asked(
    merchant_id: bytes,
    asset_code: str,
    account: str,
    period: Period,
    *,
    order: Order,
    limit: int,
    cursor: str | None,
) -> Asked:
    """What was asked for. Raises UnknownAsset, StatementCursorMalformed."""
    coin = asset(asset_code)
    key = AccountKey(f"{_MERCHANTS}{merchant_id.hex()}", Purpose(account), coin.code)
    after = None if cursor is None else read_cursor(cursor, key.id)
    return Asked(key, coin, period, order, limit, after)


def lines_question(asked: Asked) -> Question:
    """What the ledger's statements are asked for the lines, and for the closing balance."""
    period, after = asked.period, asked.after
    if after is None and period.since is not None and asked.order is Order.OLDEST_FIRST:
        # Before every line of that moment: numbers of a shard begin at 1.
        after = Place(period.since, 0, 0, 0)
    at = None if period.until is None else period.until - _MICROSECOND
    return Question(asked.key.id, asked.limit, at, after, asked.order)


def opening_question(asked: Asked) -> Question | None:
    """What they are asked for the opening balance; None where the account's own beginning is it."""
    if asked.period.since is None:
        return None
    at = asked.period.since - _MICROSECOND
    return Question(asked.key.id, 1, at, None, Order.NEWEST_FIRST)


def lines_of(asked: Asked, page: Page) -> tuple[Sequence[Line], Place | None]:
    """The lines to show, and the place behind which the next page begins; None at the end."""
    since = asked.period.since
    lines = [line for line in page.lines if since is None or line.place.posted_at >= since]
    if len(lines) <= asked.limit:
        return lines, None
    return lines[: asked.limit], lines[asked.limit - 1].place


def statement_view(asked: Asked, page: Page, opening: Counters | None) -> Mapping[str, object]:
    """The page as the merchant sees it; balances are null where nothing of the log is known."""
    lines, following = lines_of(asked, page)
    known = page.complete_through is not None
    return {
        "asset": asked.coin.code,
        "account": asked.key.purpose.value,
        "order": asked.order.value,
        "complete_through": None
        if page.complete_through is None
        else rfc3339(page.complete_through),
        "opening_balance": _balance(opening, asked.coin) if known else None,
        "closing_balance": _balance(page.counters, asked.coin) if known else None,
        "data": [line_view(line, asked.coin) for line in lines],
        "next_cursor": None if following is None else cursor_text(asked.key.id, following),
    }


def line_view(line: Line, coin: Asset) -> dict[str, object]:
    """One line. Worked: a direct credit of 10,000 sat after which credits are 51,667 and debits 0
    has 0.00041667 before and 0.00051667 after; a pending payout of it changes only what is movable.
    """
    after = line.counters.credits_posted - line.counters.debits_posted
    moved = line.units if line.kind in _POSTING else 0
    before = after + moved if line.side is Side.DEBIT else after - moved
    return {
        "posted_at": rfc3339(line.place.posted_at),
        "transfer_id": line.transfer_id.hex(),
        "code": line.code,
        "kind": line.kind,
        "direction": line.side.value,
        "amount": Amount(line.units, coin).text(),
        "balance_before": Amount(before, coin).text(),
        "balance_after": Amount(after, coin).text(),
        "movable_after": Amount(line.counters.movable, coin).text(),
        "cause": _cause(parse_object(line.cause)),
    }


def _cause(cause: Mapping[str, object]) -> dict[str, object]:
    """The cause's type and the identities in it that the API knows by other names."""
    shown: dict[str, object] = {"type": cause.get("type"), "payment_id": None, "invoice_id": None}
    for name, (public_name, prefix) in _NAMED.items():
        value = cause.get(name)
        if isinstance(value, str) and _ID.fullmatch(value):
            shown[public_name] = public_id(prefix, bytes.fromhex(value))
    return shown


def _balance(counters: Counters | None, coin: Asset) -> str:
    reached = counters or Counters()
    return Amount(reached.credits_posted - reached.debits_posted, coin).text()
