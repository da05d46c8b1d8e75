"""The two accounts between which a code moves a merchant's money, and an entry held against them.

Nothing here is taken from the entry that is judged: who could write it could write all of it. The
accounts follow from the code (`orion.ledger.codes`), a merchant and an asset that facts name.
"""

from orion.ledger.codes import CODES, OWNERS, Code, Kind, Purpose, debit_decides
from orion.ledger.model import AccountKey, Transfer, account_key, clearing
from orion.log.reconciliation.causes import CausedEntry
from orion.log.reconciliation.evidence import differs, must
from orion.log.reconciliation.model import AccountName
from orion.money import ASSETS

_NO_ID = bytes(16)

Sides = tuple[AccountKey, AccountKey]


def custody_of(asset: str) -> AccountKey:
    """Raises Untrue for an asset that no chain has."""
    known = ASSETS.get(asset)
    if known is None or known.chain is None:
        raise differs(f"asset {asset}", "an asset that a chain has")
    return account_key(OWNERS[Purpose.CUSTODY] + known.chain, Purpose.CUSTODY, asset)


def sides_of(code: Code, merchant: str, asset: str) -> Sides:
    """Debited and credited account of a transfer of `code`, as asked for."""
    rule = CODES[code]
    debit, credit = (
        custody_of(asset) if purpose is Purpose.CUSTODY else account_key(merchant, purpose, asset)
        for purpose in (rule.debit, rule.credit)
    )
    return debit, credit


def receivable_of(merchant: str, asset: str) -> AccountKey:
    return account_key(merchant, Purpose.REVERSAL_RECEIVABLE, asset)


def must_move(entry: CausedEntry, debit: AccountKey, credit: AccountKey) -> None:
    """Whether `entry` moved posted money from `debit` to `credit`, with its shard's clearing
    account where another shard has the account meant: only on the side that does not decide.
    """
    must("kind", entry.kind, Kind.DIRECT.value)
    must("linked", entry.linked, False)
    must("pending transfer", entry.pending_id or b"", b"")
    moved = [debit, credit]
    if entry.counterpart is not None:
        away = 1 if debit_decides(debit.purpose, credit.purpose) else 0
        # The accounts of one owner lie in one shard.
        meant = moved[away].owner != moved[1 - away].owner and _text(moved[away])
        must("account of another shard", entry.counterpart.text, meant or "none")
        moved[away] = clearing(entry.shard, debit.asset)
    must("debited account", _name(entry.debit), _text(moved[0]))
    must("credited account", _name(entry.credit), _text(moved[1]))


def digest_asked(entry: CausedEntry, units: int, debit: AccountKey, credit: AccountKey) -> bytes:
    """What the id of `entry` stands for, if this was asked for under its code and cause."""
    code = Code(entry.code)
    asked = Transfer(entry.id, Kind.DIRECT, code, units, debit, credit, entry.cause, _NO_ID)
    return asked.digest


def _text(key: AccountKey) -> str:
    return AccountName(key.owner, key.purpose.value, key.asset).text


def _name(side: AccountName | None) -> str:
    return "without a name" if side is None else side.text
