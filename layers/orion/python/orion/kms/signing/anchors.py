"""Whether the anchor of a stored custody account is one that we would have given it.

On three chains the address follows from the anchor, which stands beside it in the same row. An
address that follows from the row proves nothing about who wrote the row.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from orion.chains.spend import CustodyAccount, CustodyKeys, WalletKind

_ORIGIN = re.compile(r"([1-9][0-9]{0,3}):[0-9a-f]{64}\Z", re.ASCII)


class Anchors(Protocol):
    """The anchors of one chain."""

    def ours(self, accounts: Sequence[CustodyAccount]) -> Sequence[bool]:
        """Of each account whether its anchor is one that belongs to it."""
        ...


@dataclass(frozen=True, slots=True)
class NoAnchors:
    """Bitcoin: the address follows from the keys alone."""

    def ours(self, accounts: Sequence[CustodyAccount]) -> Sequence[bool]:
        """As the port says."""
        return [account.anchor == "" for account in accounts]


@dataclass(frozen=True, slots=True)
class SafeOrigins:
    """Ethereum: none, or what follows from the keys of a registered set of the same purpose, which
    made the Safe. `keys_of` answers None for a set that is not registered for that kind of wallet.
    """

    keys_of: Callable[[int, WalletKind], CustodyKeys | None]

    def ours(self, accounts: Sequence[CustodyAccount]) -> Sequence[bool]:
        """As the port says. Raises DatabaseUnavailable."""
        return [self._is_ours(account) for account in accounts]

    def _is_ours(self, account: CustodyAccount) -> bool:
        from orion.chains.ethereum.custody import anchor_is_ours

        named = _ORIGIN.match(account.anchor)
        origins: dict[int, CustodyKeys] = {}
        if named is not None:
            origin_set = int(named[1])
            keys = self.keys_of(origin_set, account.place.kind)
            origins |= {origin_set: keys} if keys is not None else {}
        return anchor_is_ours(account.anchor, account.place, origins)


@dataclass(frozen=True, slots=True)
class FeePayerAnchors:
    """Solana: the fee payer that the deployment names; without one no account is ours."""

    fee_payer: Callable[[], str | None]

    def ours(self, accounts: Sequence[CustodyAccount]) -> Sequence[bool]:
        """As the port says."""
        known = self.fee_payer()
        return [known is not None and account.anchor == known for account in accounts]
