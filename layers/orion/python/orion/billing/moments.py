"""Moments and periods as people write them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from orion.errors import OrionError

# RFC 3339 section 5.6, without leap seconds. A plus sign in a query that was not escaped arrives as
# a blank.
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?"
    r"([Zz]|[+ -][0-9]{2}:[0-9]{2})",
    re.ASCII,
)


# Ids hold no moment before 1970, and what is reckoned from a moment of 9999 (the next millisecond,
# another zone) may have no date.
YEARS = range(1970, 9999)


class MomentMalformed(OrionError):
    """A moment that is not RFC 3339 with its offset, or not of YEARS; `field` names it."""

    code = "moment_malformed"


class PeriodRefused(OrionError):
    """A period that ends before or when it begins."""

    code = "period_refused"


def read_moment(text: str, field: str) -> datetime:
    """The aware UTC moment of RFC 3339, in a year of YEARS. Raises MomentMalformed; a time without
    an offset could mean any of a day's hours.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise MomentMalformed("a moment is RFC 3339 with its offset", field=field)
    day, time, fraction, offset = found[1], found[2], found[3] or "", found[4]
    offset = "+00:00" if offset in "Zz" else offset.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{fraction[:7]}{offset}").astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise MomentMalformed("no such moment", field=field) from exc
    if moment.year not in YEARS:
        raise MomentMalformed("a moment is of the years 1970 to 9998", field=field)
    return moment


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` (included) to `until` (excluded); None is no bound."""

    since: datetime | None
    until: datetime | None


def read_period(since: str | None, until: str | None) -> Period:
    """The period of the parameters `from` and `to`. Raises MomentMalformed, PeriodRefused."""
    period = Period(
        None if since is None else read_moment(since, "from"),
        None if until is None else read_moment(until, "to"),
    )
    if period.since is not None and period.until is not None and period.since >= period.until:
        raise PeriodRefused("`from` is not before `to`")
    return period
