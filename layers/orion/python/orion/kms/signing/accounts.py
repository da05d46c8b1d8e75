"""Stored custody accounts, computed again before anybody relies on them."""

from orion.chains.spend import CustodyAccount, custody
from orion.kms.signing.errors import AccountDiffers


def verified(stored: CustodyAccount) -> CustodyAccount:
    """The account that the set's keys and the anchor give. Whoever could write one row of the
    database would otherwise choose where sweeps go.

    Raises AccountDiffers, which names the row; UnknownNetwork, MalformedAddress (of the anchor).
    """
    place = stored.place
    computed = custody(place.chain).account(place, stored.keys, stored.anchor)
    if computed.address != stored.address:
        raise AccountDiffers(
            "the stored address is not the one that the set's keys give",
            group=place.group_no,
            wallet=place.kind.value,
            chain=place.chain,
            set=place.set_no,
        )
    return computed
