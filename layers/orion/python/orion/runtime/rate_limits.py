"""How many requests a key, a merchant or an address may make: quotas in fixed windows, counted in
memcached.

Headers: draft-ietf-httpapi-ratelimit-headers. A quota that cannot be counted now lets requests pass
and is counted as a metric: losing memcached must not stop money from being taken.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as once
from typing import TYPE_CHECKING, cast

from orion.errors import OrionError, Retry
from orion.runtime.caller import network_of
from orion.runtime.route import RateClass

if TYPE_CHECKING:
    from orion.runtime.request import Request

PARAMETER = "policy/rate-limits"
COUNTED = tuple(each for each in RateClass if each is not RateClass.NONE)
_LIMIT_MAX = 10_000_000
_WINDOW_S_MAX = 86_400
_BY_ADDRESS = frozenset({RateClass.OPEN_READ, RateClass.OPEN_WRITE, RateClass.REFUSED})
# For stages whose parameter is older than the class (docs/api.md, "Rate limits"): a parameter and
# the functions that read it never change at the same moment.
DEFAULTS: Mapping[RateClass, Mapping[str, object]] = {
    RateClass.REFUSED: {"window_s": 600, "address": 60},
}


class RateLimited(OrionError):
    """Too many requests in this window. Nothing happened."""

    code = "rate_limited"
    retry = Retry.LATER


class MalformedQuotas(OrionError):
    """The parameter with the quotas is not of the agreed form (docs/contracts.md)."""

    code = "internal"


@dataclass(frozen=True, slots=True)
class Quota:
    """`limit` requests in `window_s` seconds for each `subject`: `key`, `merchant` or `address`."""

    rate_class: RateClass
    subject: str
    limit: int
    window_s: int

    @property
    def name(self) -> str:
        return f"{self.rate_class.value}-{self.subject}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a quota stands after this request: `used` of its limit, None where nobody knows."""

    quota: Quota
    used: int | None
    resets_in_s: int

    @property
    def refused(self) -> bool:
        return self.used is not None and self.used > self.quota.limit


Quotas = Mapping[str, Mapping[RateClass, Sequence[Quota]]]


def read_quotas(document: Mapping[str, object]) -> Quotas:
    """The quotas by lane and class. Raises MalformedQuotas, also where a lane lacks a class that
    has no row in DEFAULTS. Classes that are not known are ignored.
    """
    return {lane: _read_lane(lane, value) for lane, value in document.items()}


def _read_lane(lane: str, value: object) -> Mapping[RateClass, Sequence[Quota]]:
    classes = _mapping(value, lane)
    found: dict[RateClass, Sequence[Quota]] = {}
    for each in COUNTED:
        row = classes.get(each.value, DEFAULTS.get(each))
        if each.value not in classes and row is None:
            raise MalformedQuotas("a lane needs this class", place=f"{lane}.{each.value}")
        found[each] = _read_class(each, row, f"{lane}.{each.value}")
    return found


def _read_class(rate_class: RateClass, value: object, place: str) -> Sequence[Quota]:
    row = _mapping(value, place)
    subjects = ("address",) if rate_class in _BY_ADDRESS else ("key", "merchant")
    wanted = ("window_s", *subjects)
    if set(row) != set(wanted):
        raise MalformedQuotas(f"the members are {', '.join(wanted)}", place=place)
    window_s = _whole(row["window_s"], _WINDOW_S_MAX, f"{place}.window_s")
    return tuple(
        Quota(rate_class, subject, _whole(row[subject], _LIMIT_MAX, f"{place}.{subject}"), window_s)
        for subject in subjects
    )


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise MalformedQuotas("an object is wanted", place=place)
    return cast(Mapping[str, object], value)


def _whole(value: object, most: int, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise MalformedQuotas(f"a whole number from 1 to {most} is wanted", place=place)
    return value


class Limits:
    """The quotas of this function's lane."""

    def __init__(
        self,
        quotas: Mapping[RateClass, Sequence[Quota]],
        count: Callable[[str, int], int | None],
        clock_s: Callable[[], float],
        on_unknown: Callable[[], None],
    ) -> None:
        """`count` adds one to a key that ends after that many seconds, and gives the sum or None.
        `on_unknown` is told of each None.
        """
        self._quotas = quotas
        self._count = count
        self._clock_s = clock_s
        self._on_unknown = on_unknown

    def spend(self, request: "Request", rate_class: RateClass) -> Sequence[Standing]:
        """Count the request in each quota of its class. A refused one counts too, in its window
        only.
        """
        now_s = int(self._clock_s())
        found = []
        for quota in self._quotas.get(rate_class, ()):
            subject = _subject(quota, request)
            # Windows begin at another second for each subject, so that not all are new at once.
            phase = int.from_bytes(hashlib.sha256(subject).digest()[:4], "big") % quota.window_s
            window, elapsed_s = divmod(now_s + phase, quota.window_s)
            used = self._count(f"rate:{quota.name}:{subject.hex()}:{window}", quota.window_s)
            if used is None:
                self._on_unknown()
            found.append(Standing(quota, used, quota.window_s - elapsed_s))
        return found


def _subject(quota: Quota, request: "Request") -> bytes:
    if quota.subject == "key":
        return request.key_id or b""
    if quota.subject == "merchant":
        return request.merchant()
    return network_of(request.source_ip).encode()


def headers(standings: Sequence[Standing]) -> Mapping[str, str]:
    """`RateLimit-Policy` of all quotas, `RateLimit` of those that are known."""
    found: dict[str, str] = {}
    if standings:
        found["RateLimit-Policy"] = ", ".join(
            f'"{each.quota.name}";q={each.quota.limit};w={each.quota.window_s}'
            for each in standings
        )
    known = ", ".join(
        f'"{each.quota.name}";r={max(0, each.quota.limit - each.used)};t={each.resets_in_s}'
        for each in standings
        if each.used is not None
    )
    if known:
        found["RateLimit"] = known
    return found


def refusal(standings: Sequence[Standing]) -> RateLimited | None:
    """The refusal of the quota that takes longest to be new again, if any is used up."""
    refused = [each for each in standings if each.refused]
    if not refused:
        return None
    longest = max(refused, key=lambda each: each.resets_in_s)
    return RateLimited(
        f"{longest.quota.limit} requests in {longest.quota.window_s} s are allowed",
        quota=longest.quota.name,
        limit=longest.quota.limit,
        window_s=longest.quota.window_s,
        retry_after_s=longest.resets_in_s,
    )


@once
def live() -> Limits:
    """Of this stage and lane. Raises MalformedQuotas, and what reading the settings raises."""
    # What functions without quotas never need.
    from orion.runtime import counters
    from orion.runtime.clock import now
    from orion.runtime.metrics import count
    from orion.runtime.settings import MissingSetting, settings

    lane = os.environ.get("ORION_LANE", "")
    quotas = read_quotas(settings().document(PARAMETER)).get(lane)
    if quotas is None:
        raise MissingSetting("this lane has no quotas", parameter=PARAMETER)
    return Limits(
        quotas,
        counters.count,
        lambda: now().timestamp(),
        lambda: count("api", "rate_limit_unknown", 1),
    )
