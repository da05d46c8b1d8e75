"""Stored custody accounts, computed again before anybody relies on them."""

from collections.abc import Sequence

from orion.chains.spend import CustodyAccount, custody
from orion.kms.signing.anchors import Anchors
from orion.kms.signing.errors import AccountDiffers


def verified(stored: CustodyAccount) -> CustodyAccount:
    """The account that the set's keys and the anchor give; whose anchor it is stays open
    (`authenticated`).

    Raises AccountDiffers, which names the row; UnknownNetwork, MalformedAddress (of the anchor).
    """
    computed = custody(stored.place.chain).account(stored.place, stored.keys, stored.anchor)
    if computed.address != stored.address:
        raise _differs(stored, "the stored address is not the one that the set's keys give")
    return computed


def authenticated(stored: Sequence[CustodyAccount], anchors: Anchors) -> tuple[CustodyAccount, ...]:
    """The accounts, in order: each computed again, and each anchor one that we
    would have given. Whoever could write one row would otherwise choose where sweeps go.

    Raises AccountDiffers for the first that is not, and what the chain's `anchors` raise.
    """
    for account, ours in zip(stored, anchors.ours(stored), strict=True):
        if not ours:
            raise _differs(account, "the stored anchor is not one that belongs to this account")
    return tuple(verified(account) for account in stored)


def _differs(stored: CustodyAccount, detail: str) -> AccountDiffers:
    place = stored.place
    return AccountDiffers(
        detail,
        group=place.group_no,
        wallet=place.kind.value,
        chain=place.chain,
        set=place.set_no,
    )
