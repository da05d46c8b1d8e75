"""The rates of the house as an invoice keeps them: fees follow from these and from no other rate
(docs/fees.md, "The rate of the house").
"""

from collections.abc import Mapping

from orion.billing.fees.errors import HouseRatesUnreadable
from orion.billing.invoice import moment
from orion.billing.quote import Rate
from orion.billing.rates.model import RateLock
from orion.records import MalformedJson, canonical_json, parse_object


def write_house(locks: Mapping[str, RateLock]) -> str:
    """Canonical JSON by asset: the rate's units, and why it is this one."""
    body = {
        code: {
            "units": str(lock.rate.units),
            "providers": list(lock.providers),
            "path": list(lock.path),
            "observed_at": moment(lock.observed_at),
        }
        for code, lock in locks.items()
    }
    return canonical_json(body).decode()


def read_house(text: str) -> Mapping[str, Rate]:
    """The rates by asset; one that was not known is absent. Raises HouseRatesUnreadable."""
    try:
        body = parse_object(text.encode())
        return {code: _rate(row) for code, row in body.items()}
    except (MalformedJson, ValueError, TypeError, KeyError) as exc:
        raise HouseRatesUnreadable("an invoice's rates of the house have another form") from exc


def _rate(row: object) -> Rate:
    if not isinstance(row, dict):
        raise TypeError("not an object")
    units = row["units"]
    if not isinstance(units, str) or not units.isascii() or not units.isdigit() or not int(units):
        raise ValueError("a rate is a positive whole number")
    return Rate(int(units))
