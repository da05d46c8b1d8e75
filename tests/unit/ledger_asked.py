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
