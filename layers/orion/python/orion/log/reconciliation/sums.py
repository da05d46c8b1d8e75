"""Counters against the sums of entries: streams of accounts by rising id, side by side.

Nothing here holds all accounts: what is kept is one row of each stream and totals by asset.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from orion.ledger.codes import Purpose
from orion.log.reconciliation.model import AccountName, Difference, DifferenceKind, Wrong

# Of one kind; an account after the hundredth is counted with the others.
MAX_NAMED = 1_000


@dataclass(frozen=True, slots=True)
class Sums:
    """What an account has seen, in the ledger's four counters."""

    debits_posted: int = 0
    debits_pending: int = 0
    credits_posted: int = 0
    credits_pending: int = 0

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(
            self.debits_posted - other.debits_posted,
            self.debits_pending - other.debits_pending,
            self.credits_posted - other.credits_posted,
            self.credits_pending - other.credits_pending,
        )

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.debits_posted + other.debits_posted,
            self.debits_pending + other.debits_pending,
            self.credits_posted + other.credits_posted,
            self.credits_pending + other.credits_pending,
        )

    def __str__(self) -> str:
        return (
            f"debits {self.debits_posted}, pending {self.debits_pending};"
            f" credits {self.credits_posted}, pending {self.credits_pending}"
        )


NONE = Sums()


@dataclass(frozen=True, slots=True)
class AccountSums:
    """An account of one book; `name` is None where entries use an id that the book does not
    explain.
    """

    id: bytes
    name: AccountName | None
    sums: Sums


@dataclass(slots=True)
class Reading:
    """What one pass over the accounts leaves."""

    differences: list[Difference] = field(default_factory=list)
    suspects: dict[bytes, tuple[AccountSums, Sums]] = field(default_factory=dict)
    beyond: int = 0
    totals: dict[tuple[str, str], tuple[int, Sums]] = field(default_factory=dict)


def read(
    counters: Iterable[AccountSums], later: Mapping[bytes, Sums], entries: Iterable[AccountSums]
) -> Reading:
    """Compare MySQL's `counters`, less what was posted `later` than the books are compared, with
    the external book's sums over its `entries`. Both by rising id.
    """
    reading = Reading()
    for mysql, external in _side_by_side(counters, entries):
        if mysql is not None:
            _total(reading, mysql)
            _check_name(reading, mysql, external, Wrong.MYSQL)
        if external is not None:
            _check_name(reading, external, mysql, Wrong.EXTERNAL)
        held = (mysql.sums if mysql else NONE) - later.get(_id(mysql, external), NONE)
        summed = external.sums if external else NONE
        if held != summed:
            account = external if mysql is None or mysql.name is None else mysql
            _suspect(reading, account or mysql or external, held, summed)
    return reading


def _id(mysql: AccountSums | None, external: AccountSums | None) -> bytes:
    account = mysql or external
    return account.id if account is not None else b""


def _side_by_side(
    left: Iterable[AccountSums], right: Iterable[AccountSums]
) -> Iterator[tuple[AccountSums | None, AccountSums | None]]:
    lefts, rights = iter(left), iter(right)
    one, other = next(lefts, None), next(rights, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.id < other.id):
            yield one, None
            one = next(lefts, None)
        elif one is None or other.id < one.id:
            yield None, other
            other = next(rights, None)
        else:
            yield one, other
            one, other = next(lefts, None), next(rights, None)


def _total(reading: Reading, account: AccountSums) -> None:
    if account.name is None:
        return
    key = (account.name.asset, account.name.purpose)
    accounts, sums = reading.totals.get(key, (0, NONE))
    reading.totals[key] = (accounts + 1, sums + account.sums)


def _check_name(
    reading: Reading, account: AccountSums, other: AccountSums | None, wrong: Wrong
) -> None:
    """An id follows from its names, so a book's directory of accounts proves itself."""
    name = account.name
    if name is not None and name.id == account.id:
        return
    good = other.name if other and other.name and other.name.id == account.id else None
    asset = good.asset if good else None
    if len(reading.differences) >= MAX_NAMED:
        reading.beyond += 1
        return
    reading.differences.append(
        Difference(
            DifferenceKind.ACCOUNT_DIFFERS,
            wrong,
            account=good.text if good else account.id.hex(),
            asset=asset,
            found=name.text if name else "no account of this id",
            expected=good.text if good else f"names from which {account.id.hex()} follows",
        )
    )


def _suspect(reading: Reading, account: AccountSums | None, held: Sums, summed: Sums) -> None:
    if account is None:
        raise ValueError("one of two streams has the account")
    if len(reading.suspects) >= MAX_NAMED:
        reading.beyond += 1
        return
    reading.suspects[account.id] = (AccountSums(account.id, account.name, held), summed)


def counter_differences(
    reading: Reading, in_mysql: Mapping[bytes, Sums] | None
) -> list[Difference]:
    """Name the wrong book of each suspect: `in_mysql` are the sums over MySQL's own entries, None
    where nobody has added them up, so that no book stands alone.

    Counters that differ from entries on which both books agree are wrong themselves.
    """
    found = []
    for identity, (account, summed) in reading.suspects.items():
        own = None if in_mysql is None else in_mysql.get(identity, NONE)
        if own == summed:
            wrong, told, expected = Wrong.MYSQL, account.sums, summed
        elif own == account.sums:
            wrong, told, expected = Wrong.EXTERNAL, summed, account.sums
        else:
            wrong, told, expected = Wrong.UNKNOWN, account.sums, summed
        name = account.name if account.name and account.name.id == identity else None
        found.append(
            Difference(
                DifferenceKind.COUNTER_DIFFERS,
                wrong,
                account=name.text if name else identity.hex(),
                asset=name.asset if name else None,
                found=str(told),
                expected=str(expected),
            )
        )
    if reading.beyond:
        found.append(
            Difference(
                DifferenceKind.COUNTER_DIFFERS,
                Wrong.UNKNOWN,
                found=f"{reading.beyond} more accounts differ",
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Flight:
    """What is between shards: units by (asset, side) of legs that were sent and not applied, and
    of each sending shard (legs stored, highest number, next number by its row).
    """

    units: Mapping[tuple[str, str], int]
    legs: Mapping[int, tuple[int, int, int]]


def balance_differences(reading: Reading) -> list[Difference]:
    """Per asset debits equal credits, posted and pending, over all accounts."""
    by_asset: dict[str, Sums] = {}
    for (asset, _purpose), (_accounts, sums) in reading.totals.items():
        by_asset[asset] = by_asset.get(asset, NONE) + sums
    return [
        Difference(
            DifferenceKind.NOT_BALANCED,
            Wrong.MYSQL,
            asset=asset,
            found=str(sums),
            expected="debits equal to credits, posted and pending",
        )
        for asset, sums in sorted(by_asset.items())
        if (sums.debits_posted, sums.debits_pending) != (sums.credits_posted, sums.credits_pending)
    ]


def unbalanced_shards(
    moved: Mapping[tuple[int, str], tuple[int, int]], wrong: Wrong
) -> list[Difference]:
    """Per shard and asset debits equal credits: `moved` are units debited and credited.

    Each entry has one amount for both sides, so only an entry between accounts of two assets, or
    one without a name, can part them.
    """
    return [
        Difference(
            DifferenceKind.NOT_BALANCED,
            wrong,
            shard=shard,
            asset=asset or None,
            found=f"debits {debits}, credits {credited}",
            expected="debits equal to credits",
        )
        for (shard, asset), (debits, credited) in sorted(moved.items())
        if debits != credited
    ]


def flight_differences(reading: Reading, flight: Flight) -> list[Difference]:
    """Clearing plus what is in flight is zero, and no leg is missing among those sent."""
    cleared: dict[str, int] = {}
    for (asset, purpose), (_accounts, sums) in reading.totals.items():
        if purpose == Purpose.CLEARING:
            cleared[asset] = sums.debits_posted - sums.credits_posted
    found = []
    for asset in sorted(cleared.keys() | {asset for asset, _side in flight.units}):
        flying = flight.units.get((asset, "debit"), 0) - flight.units.get((asset, "credit"), 0)
        if cleared.get(asset, 0) != flying:
            found.append(
                Difference(
                    DifferenceKind.FLIGHT_DIFFERS,
                    Wrong.MYSQL,
                    asset=asset,
                    found=f"clearing accounts {cleared.get(asset, 0)}",
                    expected=f"in flight {flying}",
                )
            )
    for shard, (legs, highest, following) in sorted(flight.legs.items()):
        if not legs == highest == following - 1:
            found.append(
                Difference(
                    DifferenceKind.FLIGHT_DIFFERS,
                    Wrong.MYSQL,
                    shard=shard,
                    found=f"{legs} legs, the last is number {highest}",
                    expected=f"legs 1 to {following - 1}",
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class Unfrozen:
    """An incident that must have frozen its asset; `lifted` says that its freeze is there, lifted
    without a reason.
    """

    incident: bytes
    asset: str
    lifted: bool


def freeze_differences(unfrozen: Iterable[Unfrozen]) -> list[Difference]:
    """Whoever can write the ledger's tables could let payouts go on: a freeze stays as a row, and
    only its lifting, with a reason, ends it.
    """
    return [
        Difference(
            DifferenceKind.FREEZE_MISSING,
            Wrong.MYSQL,
            asset=each.asset,
            found="lifted without a reason" if each.lifted else "no freeze",
            expected=f"the freeze of incident {each.incident.hex()}, or why it was lifted",
        )
        for each in unfrozen
    ]


def followed(
    counters: Iterable[AccountSums], later: Mapping[bytes, Sums], statements: Iterable[AccountSums]
) -> Iterator[tuple[AccountSums, Sums]]:
    """Each account's counters, less what the follower has not entered yet, beside its own."""
    for account, statement in _side_by_side(counters, statements):
        named = account or statement
        if named is None:
            raise ValueError("one of two streams has the account")
        held = (account.sums if account else NONE) - later.get(named.id, NONE)
        yield (
            AccountSums(named.id, account.name if account else None, held),
            statement.sums if statement else NONE,
        )


def statement_differences(
    followed: Iterable[tuple[AccountSums, Sums]],
) -> list[Difference]:
    """`followed` pairs an account's counters, less what the follower has not seen, with the
    follower's own. What is beyond MAX_NAMED is counted.
    """
    found: list[Difference] = []
    beyond = 0
    for account, statement in followed:
        if account.sums == statement:
            continue
        if len(found) >= MAX_NAMED:
            beyond += 1
            continue
        found.append(
            Difference(
                DifferenceKind.STATEMENT_DIFFERS,
                Wrong.MYSQL,
                account=account.name.text if account.name else account.id.hex(),
                asset=account.name.asset if account.name else None,
                found=str(statement),
                expected=str(account.sums),
            )
        )
    if beyond:
        found.append(
            Difference(
                DifferenceKind.STATEMENT_DIFFERS,
                Wrong.MYSQL,
                found=f"{beyond} more accounts differ",
            )
        )
    return found
