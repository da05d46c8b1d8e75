"""Payment links, their places and their visitors on MySQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from orion.adapters.mysql.billing_rows import BillingCursor, marks, read, stored
from orion.billing.payment_links.model import ENDED, WAITING, PaymentLink, Price
from orion.billing.payment_links.ports import Places
from orion.money import Amount, Asset, asset
from orion.records import canonical_json, parse_json

_COLUMNS = (
    "link_id, merchant_id, lane, title, currency, fixed_units, min_units, max_units, assets,"
    " expires_in_s, use_limit, ends_at, active, success_url, metadata, created_at, updated_at"
)
_LINK = f"SELECT {_COLUMNS} FROM payment_link"  # noqa: S608 - only names of columns
# As `keeps_place` decides, for rows that are only counted; a test holds the two together.
_ENDED_STATUSES = sorted(status.value for status in ENDED)
_WAITING_STATUSES = sorted(status.value for status in WAITING)
_ENDED = (
    f"(i.status IN ({marks(_ENDED_STATUSES)})"
    f" OR (i.status IN ({marks(_WAITING_STATUSES)}) AND i.expires_at <= %s))"
)


class BillingLinks(BillingCursor):
    """The part of the port `LinkTransaction` that is about links."""

    def add_link(self, link: PaymentLink) -> None:
        price = link.price
        self._cursor.execute(
            f"INSERT INTO payment_link ({_COLUMNS}) VALUES ({marks(range(17))})",  # noqa: S608
            (
                link.link_id,
                link.merchant_id,
                link.lane,
                link.title,
                price.currency.code,
                _units(price.fixed),
                _units(price.minimum),
                _units(price.maximum),
                ",".join(link.assets),
                link.expires_in_s,
                link.use_limit,
                _stored(link.ends_at),
                link.active,
                link.success_url,
                canonical_json(link.metadata).decode(),
                stored(link.created_at),
                stored(link.updated_at),
            ),
        )

    def payment_link(self, link_id: bytes) -> PaymentLink | None:
        return self._one(f"{_LINK} WHERE link_id = %s", link_id)

    def lock_link(self, link_id: bytes) -> PaymentLink | None:
        return self._one(f"{_LINK} WHERE link_id = %s FOR UPDATE", link_id)

    def put_link(self, link: PaymentLink) -> None:
        self._cursor.execute(
            "UPDATE payment_link SET title = %s, use_limit = %s, ends_at = %s, active = %s,"
            " success_url = %s, metadata = %s, updated_at = %s WHERE link_id = %s",
            (
                link.title,
                link.use_limit,
                _stored(link.ends_at),
                link.active,
                link.success_url,
                canonical_json(link.metadata).decode(),
                stored(link.updated_at),
                link.link_id,
            ),
        )

    def links_before(
        self, merchant_id: bytes, before: bytes | None, limit: int
    ) -> Sequence[PaymentLink]:
        rows = self._rows(
            f"{_LINK} WHERE merchant_id = %s AND link_id < %s ORDER BY link_id DESC LIMIT %s",
            (merchant_id, before or b"\xff" * 16, limit),
        )
        return [_link(row) for row in rows]

    def places(self, link_id: bytes, now: datetime) -> Places:
        rows = self._rows(
            f"SELECT p.invoice_id, {_ENDED} FROM payment_link_place p"  # noqa: S608
            " JOIN invoice i ON i.invoice_id = p.invoice_id WHERE p.link_id = %s AND p.held = 1"
            " ORDER BY p.invoice_id",
            (*_ended_values(now), link_id),
        )
        ended = [_bytes(invoice_id) for invoice_id, is_over in rows if is_over]
        return Places(len(rows) - len(ended), ended)

    def give_back(self, link_id: bytes, invoice_ids: Sequence[bytes]) -> None:
        self._cursor.executemany(
            "UPDATE payment_link_place SET held = 0 WHERE link_id = %s AND invoice_id = %s",
            [(link_id, invoice_id) for invoice_id in invoice_ids],
        )

    def take_place(self, link_id: bytes, invoice_id: bytes) -> None:
        self._cursor.execute(
            "INSERT INTO payment_link_place (link_id, invoice_id, held) VALUES (%s, %s, 1)",
            (link_id, invoice_id),
        )

    def places_held(self, link_ids: Sequence[bytes], now: datetime) -> Mapping[bytes, int]:
        if not link_ids:
            return {}
        rows = self._rows(
            "SELECT p.link_id, COUNT(*) FROM payment_link_place p"  # noqa: S608
            " JOIN invoice i ON i.invoice_id = p.invoice_id"
            f" WHERE p.link_id IN ({marks(link_ids)}) AND p.held = 1 AND NOT {_ENDED}"
            " GROUP BY p.link_id",
            (*link_ids, *_ended_values(now)),
        )
        return {_bytes(link_id): int(str(held)) for link_id, held in rows}

    def lock_visitor(self, link_id: bytes, visitor: bytes) -> bytes | None:
        # This locks the row, also an empty one, so two forms of one visitor cannot pass each other;
        # whoever waited here reads what the other one has committed.
        self._cursor.execute(
            "INSERT INTO payment_link_visitor (link_id, visitor) VALUES (%s, %s)"
            " ON DUPLICATE KEY UPDATE invoice_id = invoice_id",
            (link_id, visitor),
        )
        return self.visitor_invoice(link_id, visitor)

    def put_visitor(self, link_id: bytes, visitor: bytes, invoice_id: bytes) -> None:
        self._cursor.execute(
            "UPDATE payment_link_visitor SET invoice_id = %s WHERE link_id = %s AND visitor = %s",
            (invoice_id, link_id, visitor),
        )

    def visitor_invoice(self, link_id: bytes, visitor: bytes) -> bytes | None:
        rows = self._rows(
            "SELECT invoice_id FROM payment_link_visitor WHERE link_id = %s AND visitor = %s",
            (link_id, visitor),
        )
        return None if not rows or rows[0][0] is None else _bytes(rows[0][0])

    def _one(self, sql: str, link_id: bytes) -> PaymentLink | None:
        rows = self._rows(sql, (link_id,))
        return _link(rows[0]) if rows else None


def _ended_values(now: datetime) -> tuple[object, ...]:
    return (*_ENDED_STATUSES, *_WAITING_STATUSES, stored(now))


def _link(row: Sequence[Any]) -> PaymentLink:
    (link_id, merchant_id, lane, title, code, fixed, minimum, maximum, assets, expires_in_s,
     use_limit, ends_at, active, success_url, metadata, created_at, updated_at) = row  # fmt: skip
    currency = asset(code)
    return PaymentLink(
        link_id=link_id,
        merchant_id=merchant_id,
        lane=lane,
        title=title,
        price=Price(
            currency,
            _amount(fixed, currency),
            _amount(minimum, currency),
            _amount(maximum, currency),
        ),
        assets=tuple(assets.split(",")),
        expires_in_s=expires_in_s,
        use_limit=use_limit,
        ends_at=None if ends_at is None else read(ends_at),
        active=bool(active),
        success_url=success_url,
        metadata={name: str(text) for name, text in parse_json(metadata.encode()).items()},
        created_at=read(created_at),
        updated_at=read(updated_at),
    )


def _units(amount: Amount | None) -> int | None:
    return None if amount is None else amount.units


def _amount(units: Any, currency: Asset) -> Amount | None:
    return None if units is None else Amount(int(units), currency)


def _stored(at: datetime | None) -> datetime | None:
    return None if at is None else stored(at)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("an identity is bytes")
    return value
