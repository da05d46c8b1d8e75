"""What infra/custody.toml says: custody sets, who uses them, and the custodians' velocity caps."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from infra.cloud.names import ROOT

CUSTODY_FILE = ROOT / "infra" / "custody.toml"
CUSTODIANS = (1, 2, 3, 4, 5)
PURPOSES = ("hot", "warm")
# AWS KMS, "Key spec reference": what a custody set's keys are on each curve.
CURVES: Mapping[str, str] = {"secp256k1": "ECC_SECG_P256K1", "ed25519": "ECC_NIST_EDWARDS25519"}
# Whose signatures custodians believe, each with a KMS key of that name (docs/custody.md).
ENROLMENT = "custody-enrolment"  # Approves custody sets and nothing else.
ISSUERS = ("policy-decisions", "approval-tokens", "step-up", "chain-finality", ENROLMENT)
# Which sets the custodians have, as the operator's command wrote it last.
ENROLLED_PARAMETER = "deployment/custody-sets"
# CDK context: `yes` lets custodians be deployed that run code which nobody signed.
UNSIGNED_CONTEXT = "unsigned-custodians"
GROUP_MAX = 2**31 - 1


def custodian_room(number: int) -> str:
    """The stack of custodian `number`, by the name that the app knows it by."""
    return f"custodian-{number}"


class CustodyMalformed(ValueError):
    """infra/custody.toml says what cannot be, such as one set for hot and warm wallets."""


@dataclass(frozen=True, slots=True)
class CustodySet:
    """Five custodians' keys. `purpose` is `hot` or `warm`."""

    number: int
    purpose: str


@dataclass(frozen=True, slots=True)
class GroupRange:
    """The sets that new groups `first` to `last` get, both included."""

    first: int
    last: int
    hot: int
    warm: int


@dataclass(frozen=True, slots=True)
class Custody:
    """`velocity[purpose][asset]` are smallest units in 24 hours, as decimal text."""

    sets: tuple[CustodySet, ...]
    groups: tuple[GroupRange, ...]
    velocity: Mapping[str, Mapping[str, str]]


@cache
def custody() -> Custody:
    """The file of this clone. Raises CustodyMalformed."""
    return read_custody(CUSTODY_FILE.read_text(encoding="utf-8"))


def read_custody(text: str) -> Custody:
    """Read the file's text strictly. Raises CustodyMalformed."""
    try:
        body = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise CustodyMalformed(f"not TOML: {exc}") from exc
    if set(body) != {"set", "groups", "velocity"} or set(body["velocity"]) != set(PURPOSES):
        raise CustodyMalformed("it has [[set]], [[groups]], [velocity.hot] and [velocity.warm]")
    sets = tuple(_set(row) for row in body["set"])
    if [each.number for each in sets] != list(range(1, len(sets) + 1)):
        # From 1, because the addresses of Solana's multisigs know no set 0.
        raise CustodyMalformed("sets are numbered 1, 2, 3 and so on, in order")
    groups = tuple(_range(row, sets) for row in body["groups"])
    for before, after in pairwise(sorted(groups, key=lambda each: each.first)):
        if after.first <= before.last:
            raise CustodyMalformed(f"group {after.first} stands in two ranges")
    for caps in body["velocity"].values():
        for asset, units in caps.items():
            if not isinstance(units, str) or not (units.isascii() and units.isdecimal()):
                raise CustodyMalformed(f"the cap of {asset} is not decimal text")
    return Custody(sets, groups, body["velocity"])


def _set(row: Mapping[str, object]) -> CustodySet:
    if set(row) != {"number", "purpose"} or row["purpose"] not in PURPOSES:
        raise CustodyMalformed("a set has a number and a purpose, hot or warm")
    return CustodySet(_whole(row["number"]), str(row["purpose"]))


def _range(row: Mapping[str, object], sets: tuple[CustodySet, ...]) -> GroupRange:
    if set(row) != {"first", "last", *PURPOSES}:
        raise CustodyMalformed("groups have first, last, hot and warm")
    found = GroupRange(**{name: _whole(value) for name, value in row.items()})
    if not found.first <= found.last <= GROUP_MAX:
        raise CustodyMalformed(f"groups {found.first} to {found.last} are no range")
    for purpose, number in (("hot", found.hot), ("warm", found.warm)):
        if CustodySet(number, purpose) not in sets:
            raise CustodyMalformed(f"there is no {purpose} set {number}")
    return found


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CustodyMalformed(f"{value!r} is no whole number")
    return value
