"""How a rule of causes tells what is untrue, and what it reads from an entry."""

from collections.abc import Mapping

from orion.ledger.codes import Code, Kind, Purpose
from orion.ledger.model import AccountKey, Transfer, account_key
from orion.log.reconciliation.causes import CausedEntry
from orion.log.reconciliation.model import AccountName, DifferenceKind

MERCHANT = "merchant:"
_NO_ID = bytes(16)

Cause = Mapping[str, object]


class Untrue(Exception):
    """What a rule found. Never leaves this module."""

    def __init__(self, kind: DifferenceKind, found: str, expected: str) -> None:
        super().__init__(found)
        self.kind = kind
        self.found = found
        self.expected = expected


def differs(found: str, expected: str) -> Untrue:
    return Untrue(DifferenceKind.CAUSE_DIFFERS, found, expected)


def not_found(what: str) -> Untrue:
    return Untrue(DifferenceKind.CAUSE_NOT_FOUND, "nothing", what)


def must(name: str, found: object, expected: object) -> None:
    if found != expected:
        raise differs(f"{name} {_word(found)}", f"{name} {_word(expected)}")


def _word(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def identity_of(value: object, name: str) -> bytes:
    if isinstance(value, str) and len(value) == 32:
        try:
            return bytes.fromhex(value)
        except ValueError:
            pass
    raise differs(f"{name} of another form", f"{name} of 32 hexadecimal digits")


def merchant_side(entry: CausedEntry) -> tuple[str, AccountName]:
    """The merchant's account as it was asked for; deposits have one merchant in each entry."""
    sides = [side for side in (entry.debit, entry.credit, entry.counterpart) if side is not None]
    merchants = [side for side in sides if side.owner.startswith(MERCHANT)]
    if not merchants or len({side.owner for side in merchants}) != 1:
        raise differs("an account that no merchant has", "an account of the deposit's merchant")
    return merchants[0].owner, merchants[0]


def meant(entry: CausedEntry) -> tuple[AccountName, AccountName]:
    """Both accounts as asked for: the counterpart in the place of the shard's clearing account."""
    debit, credit = entry.debit, entry.credit
    if debit is None or credit is None:
        raise differs("an account without a name", "accounts that the books name")
    if entry.counterpart is None:
        return debit, credit
    debits = debit.purpose == Purpose.CLEARING
    place = debit if debits else credit
    here = AccountName(f"shard:{entry.shard}", Purpose.CLEARING.value, entry.counterpart.asset)
    must("account in the counterpart's place", place.text, here.text)
    return (entry.counterpart, credit) if debits else (debit, entry.counterpart)


def digest_of(
    entry: CausedEntry, units: int, debit: AccountName, credit: AccountName
) -> bytes | None:
    try:
        transfer = Transfer(
            id=entry.id,
            kind=Kind(entry.kind),
            code=Code(entry.code),
            units=units,
            debit=_key(debit),
            credit=_key(credit),
            cause=entry.cause,
            trace_id=_NO_ID,
            linked=entry.linked,
            pending_id=entry.pending_id,
        )
    except ValueError:
        raise differs("words that no transfer has", "those of the ledger's closed sets") from None
    return transfer.digest


def _key(name: AccountName) -> AccountKey:
    return account_key(name.owner, Purpose(name.purpose), name.asset)
