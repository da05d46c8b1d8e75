"""The two accounts between which a code moves a merchant's money, and an entry held against them.

Nothing here is taken from the entry that is judged: who could write it could write all of it. The
accounts follow from the code (`orion.ledger.codes`), a merchant and an asset that facts name.
"""

from orion.ledger.codes import (
    CODES,
    OF_THE_CHAIN,
    OWNERS,
    Code,
    Kind,
    Purpose,
    debit_decides,
)
from orion.ledger.model import SHORTFALLS, AccountKey, Transfer, account_key, clearing
from orion.log.reconciliation.causes import CausedEntry, Facts, shortfall_id
from orion.log.reconciliation.evidence import differs, must
from orion.log.reconciliation.model import AccountName
from orion.money import ASSETS

_NO_ID = bytes(16)

Sides = tuple[AccountKey, AccountKey]


def chains_account(purpose: Purpose, asset: str) -> AccountKey:
    """The account of this purpose of the asset's chain. Raises Untrue for an asset that no chain
    has.
    """
    known = ASSETS.get(asset)
    if known is None or known.chain is None:
        raise differs(f"asset {asset}", "an asset that a chain has")
    return account_key(OWNERS[purpose] + known.chain, purpose, asset)


def sides_of(code: Code, merchant: str, asset: str) -> Sides:
    """Debited and credited account of a transfer of `code`, as asked for."""
    rule = CODES[code]
    debit, credit = (
        chains_account(purpose, asset)
        if purpose in OF_THE_CHAIN
        else account_key(merchant, purpose, asset)
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
    must("pending transfer", entry.pending_id or b"", b"")
    _must_join(entry, debit, credit)


def must_end(entry: CausedEntry, debit: AccountKey, credit: AccountKey) -> None:
    """Whether `entry`, of a kind that ends, names a pending transfer and these accounts, with its
    shard's clearing account as above. What that transfer was, its own cause's rule has to say.
    """
    if entry.pending_id is None:
        raise differs(f"{entry.kind} of nothing", "the pending transfer that it ends")
    _must_join(entry, debit, credit)


def _must_join(entry: CausedEntry, debit: AccountKey, credit: AccountKey) -> None:
    must("linked", entry.linked, False)
    moved = [debit, credit]
    if entry.counterpart is not None:
        away = 1 if debit_decides(debit.purpose, credit.purpose) else 0
        # The accounts of one owner lie in one shard.
        meant = moved[away].owner != moved[1 - away].owner and _text(moved[away])
        must("account of another shard", entry.counterpart.text, meant or "none")
        moved[away] = clearing(entry.shard, debit.asset)
    must("debited account", _name(entry.debit), _text(moved[0]))
    must("credited account", _name(entry.credit), _text(moved[1]))


def must_be_asked(entry: CausedEntry, merchant: str, asset: str, facts: Facts) -> int:
    """Whether the accounts and the digest are those of the code for this merchant and asset; the
    units that were asked for.
    """
    code = Code(entry.code)
    asked, credit = sides_of(code, merchant, asset)
    debit, units = asked, entry.units
    if code in SHORTFALLS:
        owed = receivable_of(merchant, asset)
        short = facts.transfers.get(shortfall_id(entry.id))
        if entry.debit is not None and entry.debit.id == owed.id:
            # One entry for all: nothing was left, or the shortfall's id stands for something else.
            debit = owed
        if short is not None and short.code == SHORTFALLS[code]:
            units += short.units
    must_move(entry, debit, credit)
    must("digest", entry.digest, digest_asked(entry, units, asked, credit))
    return units


def digest_asked(entry: CausedEntry, units: int, debit: AccountKey, credit: AccountKey) -> bytes:
    """What the id of `entry` stands for, if this was asked for under its code and cause."""
    code = Code(entry.code)
    asked = Transfer(entry.id, Kind.DIRECT, code, units, debit, credit, entry.cause, _NO_ID)
    return asked.digest


def _text(key: AccountKey) -> str:
    return AccountName(key.owner, key.purpose.value, key.asset).text


def _name(side: AccountName | None) -> str:
    return "without a name" if side is None else side.text
