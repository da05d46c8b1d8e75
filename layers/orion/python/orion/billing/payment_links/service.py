"""What merchants ask of payment links: to make, read, list and change them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from orion.billing.audit import Origin, audit
from orion.billing.creation import fiat
from orion.billing.invoice import moment
from orion.billing.listing import cursor_of, read_cursor
from orion.billing.merchant_settings import MerchantSettings
from orion.billing.moments import read_moment
from orion.billing.payment_link import Networks, payable_asset
from orion.billing.payment_links.errors import PaymentLinkEndPassed, PaymentLinkNotFound
from orion.billing.payment_links.model import PaymentLink, link_status, read_price
from orion.billing.payment_links.ports import LinkStore, LinkTransaction
from orion.billing.ports import Answer, KeyedRequest
from orion.billing.sessions.return_url import check_return_url
from orion.ids import public_id, random_id
from orion.money import Amount
from orion.records import canonical_json


@dataclass(frozen=True, slots=True)
class LinkAsked:
    """A link as a merchant asks for it, of the right types and lengths but not yet judged."""

    title: str
    currency: str
    assets: tuple[str, ...]
    amount: str | None = None
    min_amount: str | None = None
    max_amount: str | None = None
    expires_in_s: int | None = None
    use_limit: int | None = None
    ends_at: str | None = None
    success_url: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkChange:
    """What is to become of a link: of `named` only, where None clears. `title` and `active` None
    leave what is.
    """

    named: frozenset[str]
    title: str | None = None
    active: bool | None = None
    use_limit: int | None = None
    ends_at: str | None = None
    success_url: str | None = None
    metadata: Mapping[str, str] | None = None


class PaymentLinks:
    """The merchant's side of payment links. Each method is one transaction.

    `lane_urls` is the public base URL of each lane, `places` what can be paid in at this stage.
    """

    def __init__(
        self,
        store: LinkStore,
        lane_urls: Mapping[str, str],
        places: Networks,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._lane_urls = lane_urls
        self._places = places
        self._clock = clock

    def create(
        self, request: KeyedRequest, asked: LinkAsked, *, lane: str, trace_id: str
    ) -> Answer:
        """Make a link once for the request's key.

        Refuses, with nothing written: UnknownCurrency, UnknownAsset, what amounts refuse,
        AmountBoundsRefused, MomentMalformed, PaymentLinkEndPassed, ReturnUrlRefused,
        LimitOutOfRange, `idempotency_key_reused`, `idempotency_key_in_flight`.
        """
        origin = Origin(request.merchant_id, lane, trace_id, self._clock())
        link = self._judged(origin, asked)

        def make(tx: LinkTransaction) -> Answer:
            tx.add_link(link)
            details = {"currency": link.price.currency.code, "assets": list(link.assets)}
            subject = public_id("pl", link.link_id)
            tx.tell([audit("payment_link.created", origin, subject, details)], origin.at)
            body = canonical_json(self._view(link, origin.at))
            return Answer(201, body, body)

        return self._store.transact(lambda tx: tx.once(request, origin.at, lambda: make(tx)))

    def _judged(self, origin: Origin, asked: LinkAsked) -> PaymentLink:
        price = read_price(fiat(asked.currency), asked.amount, asked.min_amount, asked.max_amount)
        if asked.expires_in_s is not None:
            MerchantSettings(expires_in_s=asked.expires_in_s)
        return PaymentLink(
            link_id=random_id(origin.at),
            merchant_id=origin.merchant_id,
            lane=origin.lane,
            title=asked.title,
            price=price,
            assets=tuple(payable_asset(code, self._places).code for code in asked.assets),
            expires_in_s=asked.expires_in_s,
            use_limit=asked.use_limit,
            ends_at=_end(asked.ends_at, origin.at),
            active=True,
            success_url=_success_url(asked.success_url),
            metadata=asked.metadata,
            created_at=origin.at,
            updated_at=origin.at,
        )

    def link(self, merchant_id: bytes, link_id: bytes) -> Mapping[str, object]:
        """The merchant's link. Raises PaymentLinkNotFound, also for another merchant's."""
        now = self._clock()

        def read(tx: LinkTransaction) -> Mapping[str, object]:
            found = _own(tx.payment_link(link_id), merchant_id)
            return self._view(found, now)

        return self._store.transact(read)

    def links(self, merchant_id: bytes, *, limit: int, cursor: str | None) -> Mapping[str, object]:
        """One page of 1 to 100 links, newest first: `data`, and `next_cursor` (null on the last).

        Raises CursorMalformed.
        """
        before, now = None if cursor is None else read_cursor(cursor), self._clock()

        def read(tx: LinkTransaction) -> Mapping[str, object]:
            rows = tx.links_before(merchant_id, before, limit + 1)
            page = rows[:limit]
            return {
                "data": [self._view(link, now) for link in page],
                "next_cursor": cursor_of(page[-1].link_id) if len(rows) > limit else None,
            }

        return self._store.transact(read)

    def change(
        self, merchant_id: bytes, link_id: bytes, change: LinkChange, *, trace_id: str
    ) -> Mapping[str, object]:
        """Replace what is named; repeating it changes nothing. Invoices that exist keep theirs.

        Raises PaymentLinkNotFound, MomentMalformed, PaymentLinkEndPassed, ReturnUrlRefused.
        """
        origin = Origin(merchant_id, "", trace_id, self._clock())

        def work(tx: LinkTransaction) -> Mapping[str, object]:
            old = _own(tx.lock_link(link_id), merchant_id)
            new = _changed(old, change, origin.at)
            if new != old:
                new = replace(new, updated_at=origin.at)
                tx.put_link(new)
                subject = public_id("pl", link_id)
                details = {"fields": sorted(change.named)}
                tx.tell([audit("payment_link.changed", origin, subject, details)], origin.at)
            return self._view(new, origin.at)

        return self._store.transact(work)

    def _view(self, link: PaymentLink, now: datetime) -> Mapping[str, object]:
        identity, price = public_id("pl", link.link_id), link.price
        return {
            "id": identity,
            "url": f"{self._lane_urls[link.lane]}/pay/{identity}",
            "status": link_status(link, now).value,
            "title": link.title,
            "currency": price.currency.code,
            "amount": _text(price.fixed),
            "min_amount": _text(price.minimum),
            "max_amount": _text(price.maximum),
            "assets": list(link.assets),
            "expires_in_s": link.expires_in_s,
            "use_limit": link.use_limit,
            "uses": None if link.use_limit is None else link.held,
            "ends_at": None if link.ends_at is None else moment(link.ends_at),
            "active": link.active,
            "success_url": link.success_url,
            "metadata": dict(link.metadata),
            "created_at": moment(link.created_at),
            "updated_at": moment(link.updated_at),
        }


def _own(link: PaymentLink | None, merchant_id: bytes) -> PaymentLink:
    if link is None or link.merchant_id != merchant_id:
        raise PaymentLinkNotFound("no such payment link")
    return link


def _changed(link: PaymentLink, change: LinkChange, now: datetime) -> PaymentLink:
    """The link after the change. An end that stays as it is may lie in the past."""
    named = change.named
    if change.title is not None:
        link = replace(link, title=change.title)
    if change.active is not None:
        link = replace(link, active=change.active)
    if "use_limit" in named:
        link = replace(link, use_limit=change.use_limit)
    if "ends_at" in named:
        link = replace(link, ends_at=_end(change.ends_at, now))
    if "success_url" in named:
        link = replace(link, success_url=_success_url(change.success_url))
    if "metadata" in named:
        link = replace(link, metadata=change.metadata or {})
    return link


def _end(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    end = read_moment(text, "ends_at")
    if end <= now:
        raise PaymentLinkEndPassed("a link ends in the future")
    return end


def _success_url(url: str | None) -> str | None:
    return None if url is None else check_return_url(url, "success_url")


def _text(amount: Amount | None) -> str | None:
    return None if amount is None else amount.text()
