"""What random histories of a ledger ask for: ids that repeat, chains, ends of payouts."""

from collections.abc import Sequence

from hypothesis import strategies as st

from orion.ids import fact_id
from orion.ledger.codes import OF_THE_CHAIN
from orion.ledger.model import (
    MAX_COUNTER,
    SIDES,
    AccountKey,
    Code,
    Kind,
    Purpose,
    Transfer,
)

SHARDS = 3
MERCHANTS = tuple(f"merchant:{number:032x}" for number in range(3))
SYSTEMS = {"BTC.bitcoin": "system:bitcoin", "ETH.ethereum": "system:ethereum"}
OWNERS = (*MERCHANTS, *SYSTEMS.values())
CAUSES = (b'{"type":"test"}', b'{"type":"chain_final"}')

LARGE = [MAX_COUNTER, MAX_COUNTER - 30, 2**127]
UNITS = st.one_of(*[st.integers(1, 60)] * 5, st.sampled_from(LARGE))
DIRECT = st.tuples(
    st.sampled_from(sorted(SIDES)),
    UNITS,
    st.integers(0, 9),
    st.sampled_from(MERCHANTS),
    st.sampled_from(sorted(SYSTEMS)),
    st.sampled_from([False, False, True]),
)
CHAINS = st.lists(DIRECT, min_size=1, max_size=4)
ENDS = st.tuples(
    st.sampled_from([Kind.SIGNED, Kind.SIGNED, Kind.POST, Kind.VOID, Kind.TIMEOUT]),
    st.integers(0, 30),
    st.sampled_from([0, 0, 0, -1, 1, 5]),
    st.integers(0, 9),
    st.sampled_from(CAUSES),
    st.sampled_from([False, False, True]),
)


def asked(code: Code, units: int, fact: int, merchant: str, asset: str, linked: bool) -> Transfer:
    """A direct transfer, or a pending one of a payout; ids repeat with other content at times."""

    def key(purpose: Purpose) -> AccountKey:
        owner = SYSTEMS[asset] if purpose in OF_THE_CHAIN else merchant
        return AccountKey(owner, purpose, asset)

    debit, credit = SIDES[code]
    return Transfer(
        id=fact_id("test", code, fact, merchant, asset),
        kind=Kind.PENDING if code is Code.PAYOUT else Kind.DIRECT,
        code=code,
        units=units,
        debit=key(debit),
        credit=key(credit),
        cause=b'{"type":"test"}',
        trace_id=bytes(16),
        linked=linked,
    )


def ended(
    opened: Transfer, kind: Kind, units: int, fact: int, cause: bytes = CAUSES[0]
) -> Transfer:
    """What acts on a pending transfer."""
    return opened._replace(
        id=fact_id("end", kind, fact, opened.id),
        kind=kind,
        units=units,
        cause=cause,
        linked=False,
        pending_id=opened.id,
    )


def owed_and_paid_back(
    missing: int,
    merchant: str,
    asset: str,
    facts: tuple[int, int],
    squat: str | None,
    *,
    chain: bool,
) -> list[tuple[Transfer, ...]]:
    """A reversal of more than there is, and a deposit that pays the rest back or a part; or does
    not, because a payout behind it fails.
    """
    gone, fact = facts

    def of(code: Code, units: int, fact: int) -> Transfer:
        return asked(code, units, fact, merchant, asset, linked=False)

    reversal = of(Code.DEPOSIT_REVERSAL, 5 + missing, gone)
    final = of(Code.DEPOSIT_FINAL, 5, fact)
    told: list[tuple[Transfer, ...]] = []
    if squat is not None:
        # Somebody has taken the id of the second entry.
        named = reversal if squat == "shortfall" else final
        taken = of(Code.DEPOSIT_CREDIT, 1, gone)
        told.append((taken._replace(id=fact_id(squat, named.id)),))
    told.append((of(Code.DEPOSIT_CREDIT, 5, gone), reversal))
    chained = final._replace(linked=True)
    ends = of(Code.PAYOUT, 1, fact)
    told.append((of(Code.DEPOSIT_CREDIT, 5, fact), *((chained, ends) if chain else (final,))))
    return told


def owed_and_given_back(
    units: int,
    missing: int,
    merchant: str,
    asset: str,
    fact: int,
    end: Kind,
    *,
    squat: bool,
    chain: bool,
) -> list[tuple[Transfer, ...]]:
    """A payout of nearly all, a reversal that finds the rest and owes, and the end of the payout:
    with another one chained behind it that passes only where all is paid back, or fails with it.
    """

    def of(code: Code, units: int, fact: int = fact) -> Transfer:
        return asked(code, units, fact, merchant, asset, linked=False)

    opened = of(Code.PAYOUT, units)
    ending = ended(opened, end, max(1, units - 2) if end is Kind.POST else units, fact)
    told = [
        (of(Code.DEPOSIT_CREDIT, units + 1), of(Code.DEPOSIT_FINAL, units + 1), opened),
        (of(Code.DEPOSIT_REVERSAL_FINAL, 1 + missing),),
    ]
    if squat:
        taken = of(Code.DEPOSIT_CREDIT, 1, fact + 100)
        told.append((taken._replace(id=fact_id("repaid", ending.id)),))
    chained = (ending._replace(linked=True), of(Code.PAYOUT, 1, fact + 100))
    return [*told, chained if chain else (ending,)]


def chains_of(record: Sequence[Transfer]) -> list[tuple[Transfer, ...]]:
    """The record in pieces that stand or fall together; the last one may lack its end."""
    found: list[tuple[Transfer, ...]] = []
    piece: list[Transfer] = []
    for transfer in record:
        piece.append(transfer)
        if not transfer.linked:
            found.append(tuple(piece))
            piece = []
    return [*found, tuple(piece)] if piece else found
