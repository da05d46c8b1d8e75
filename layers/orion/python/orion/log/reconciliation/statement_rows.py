"""The rows of statements against the transfers from which they were made.

Every transfer has its row, with what it moved and the counters that follow from the row before it;
and every row, also the one before, has its transfer. So a row too many is found by whatever stands
behind it, and the last one of an account by `orion.log.reconciliation.sums`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orion.log.reconciliation.model import AccountName, Difference, DifferenceKind, Wrong
from orion.log.reconciliation.sums import NONE, Sums


@dataclass(frozen=True, slots=True, order=True)
class RowPlace:
    """Where a row stands in its account's statement; `posted_at` as the database writes it."""

    posted_at: str
    shard: int
    number: int
    position: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a row says beside its place and counters."""

    side: str
    kind: str
    code: str
    units: int
    other: bytes


@dataclass(frozen=True, slots=True)
class Movement:
    """What a transfer did to one of its accounts: the row that must be there."""

    account: bytes
    place: RowPlace
    told: Told
    effect: Sums
    transfer_id: bytes


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A row that is there; `counters` are the account's after it."""

    account: bytes
    place: RowPlace
    told: Told
    counters: Sums


@dataclass(frozen=True, slots=True)
class Statements:
    """The rows of accounts between their first and last movement, by rising place, and the `before`
    of each account. `real` are the (account, place) that a transfer bears, of all other rows.
    """

    rows: Mapping[bytes, Sequence[StatementRow]]
    before: Mapping[bytes, StatementRow]
    real: Collection[tuple[bytes, RowPlace]]


def untrue(movements: Sequence[Movement], statements: Statements) -> Iterator[Difference]:
    """What of these accounts' statements does not follow from `movements`."""
    by_account: dict[bytes, dict[RowPlace, Movement]] = {}
    for movement in movements:
        by_account.setdefault(movement.account, {})[movement.place] = movement
    for account, wanted in by_account.items():
        before = statements.before.get(account)
        if before is not None and (account, before.place) not in statements.real:
            yield _added(before)
        for row in statements.rows.get(account, ()):
            movement_here = wanted.pop(row.place, None)
            if movement_here is not None:
                yield from _row(movement_here, row, before)
            elif (account, row.place) not in statements.real:
                yield _added(row)
            before = row
        for lacking in wanted.values():
            yield _difference(lacking, None, _text(lacking.told, None))


def _row(
    movement: Movement, row: StatementRow, before: StatementRow | None
) -> Iterator[Difference]:
    counters = (before.counters if before else NONE) + movement.effect
    # Of an account that moved, two shards may have posted at one moment: their order is not known.
    moved = before is not None and before.place.shard != row.place.shard
    if row.told != movement.told or not (moved or row.counters == counters):
        yield _difference(
            movement,
            _text(row.told, row.counters),
            _text(movement.told, None if moved else counters),
        )


@dataclass(frozen=True, slots=True)
class Ending:
    """Where an account's statement ends: its last row, None where it has none, whether a transfer
    bears it, and the counters that the follower says to have `reached`.

    `moment_shared` says that two shards have rows of the last moment, whose order is not known.
    """

    account: bytes
    name: AccountName | None
    last: StatementRow | None
    borne: bool
    moment_shared: bool
    reached: Sums


def ending_differences(endings: Iterable[Ending]) -> Iterator[Difference]:
    """An account's last row has its transfer and the counters that the follower has reached."""
    for each in endings:
        counters = each.last.counters if each.last else NONE
        if each.last is not None and not each.borne:
            found = _added(each.last)
        elif counters != each.reached and not each.moment_shared:
            place = each.last.place if each.last else None
            found = Difference(
                DifferenceKind.STATEMENT_DIFFERS,
                Wrong.MYSQL,
                shard=place.shard if place else None,
                number=place.number if place else None,
                position=place.position if place else None,
                account=each.account.hex(),
                found=f"the last row: {counters}" if each.last else "no row",
                expected=f"the follower: {each.reached}",
            )
        else:
            continue
        named = each.name if each.name and each.name.id == each.account else None
        yield replace(found, account=named.text, asset=named.asset) if named else found


def _added(row: StatementRow) -> Difference:
    return Difference(
        DifferenceKind.STATEMENT_DIFFERS,
        Wrong.MYSQL,
        shard=row.place.shard,
        number=row.place.number,
        position=row.place.position,
        account=row.account.hex(),
        found=_text(row.told, row.counters),
        expected="no row: no transfer moved the account here",
    )


def _difference(movement: Movement, found: str | None, expected: str) -> Difference:
    return Difference(
        DifferenceKind.STATEMENT_DIFFERS,
        Wrong.MYSQL,
        shard=movement.place.shard,
        number=movement.place.number,
        position=movement.place.position,
        transfer_id=movement.transfer_id,
        account=movement.account.hex(),
        found=found,
        expected=expected,
    )


def _text(told: Told, counters: Sums | None) -> str:
    words = f"{told.side} {told.kind} {told.code} {told.units} with {told.other.hex()}"
    return words if counters is None else f"{words}; {counters}"
