"""The 3-of-5 account of a custody set: an SPL Token multisig at an address that is known before it
exists, and the associated token accounts that it owns.
"""

from collections.abc import Mapping
from functools import lru_cache

from orion.chains.errors import MalformedAddress, UnknownChain
from orion.chains.solana.address import address_of, check_network, parse_address
from orion.chains.solana.curve import is_on_curve
from orion.chains.solana.derived import SEED_BYTES_MAX, associated, with_seed
from orion.chains.solana.programs import PROGRAMS, TOKEN, WRAPPED_SOL
from orion.chains.spend import CUSTODIANS, CustodyAccount, CustodyKeys, CustodyPlace, WalletKind
from orion.errors import OrionError
from orion.money import Asset, asset

NATIVE = asset("SOL.solana")
SETS_MAX = 1_000
_GROUPS_END = 10**10


class PlaceOutOfRange(OrionError):
    """A group or custody set with a number that no seed is made of."""

    code = "place_out_of_range"


class UnusableCustodyKeys(OrionError):
    """Not five different Ed25519 keys of 32 bytes."""

    code = "unusable_custody_keys"


def account(place: CustodyPlace, keys: CustodyKeys, anchor: str) -> CustodyAccount:
    """The multisig of `place`; `anchor` is the fee payer whose seeds it is made with.

    The address follows from anchor, group, kind and set, not from the keys: before anybody is told
    to pay to it, `creation.check_multisig` compares the keys that the chain holds. Raises
    PlaceOutOfRange, UnusableCustodyKeys, UnknownChain, UnknownNetwork, MalformedAddress.
    """
    if place.chain != "solana":
        raise UnknownChain("not a place on solana", chain=place.chain[:32])
    check_network(place.network)
    found = keys.ed25519
    if len(set(found)) != CUSTODIANS or len(found) != CUSTODIANS:
        raise UnusableCustodyKeys("a custody set has five different keys")
    if any(len(key) != 32 or not is_on_curve(key) for key in found):
        raise UnusableCustodyKeys("a key is no point of Ed25519")
    base = parse_address(anchor)
    if not is_on_curve(base) or base in found or base in PROGRAMS:
        raise MalformedAddress("no key pays fees from here", reason="anchor")
    address = with_seed(base, seed_of(place.group_no, place.kind, place.set_no), TOKEN)
    return CustodyAccount(place=place, keys=keys, anchor=anchor, address=address_of(address))


def seed_of(group_no: int, kind: WalletKind, set_no: int) -> str:
    """The seed of a group's multisig, at most 32 letters: `orion/7/hot/3`."""
    if not 0 <= group_no < _GROUPS_END or not 1 <= set_no <= SETS_MAX:
        raise PlaceOutOfRange("no seed for this place", group=group_no, set=set_no)
    seed = f"orion/{group_no}/{kind.value}/{set_no}"
    if len(seed) > SEED_BYTES_MAX:
        raise PlaceOutOfRange("no seed for this place", group=group_no, set=set_no)
    return seed


@lru_cache(maxsize=64)
def group_addresses(anchor: str, group_no: int) -> frozenset[bytes]:
    """All multisigs that a group can have: two kinds, sets 1 to 1,000. 2,000 hashes, 1 ms.

    Wrapped SOL moves between them; plain SOL never goes to one of them, because no instruction of
    the Token program gives it back.
    """
    base = parse_address(anchor)
    return frozenset(
        with_seed(base, seed_of(group_no, kind, set_no), TOKEN)
        for kind in WalletKind
        for set_no in range(1, SETS_MAX + 1)
    )


def is_sister(held: CustodyAccount, address: bytes) -> bool:
    """Whether `address` is another multisig of the account's group."""
    listed = address in group_addresses(held.anchor, held.place.group_no)
    return listed and address != parse_address(held.address)


@lru_cache(maxsize=1_024)
def holding(owner: bytes, mint: bytes) -> bytes:
    """The associated account in which `owner` holds `mint`."""
    return associated(owner, mint)


def mints_of(contracts: Mapping[str, str]) -> Mapping[bytes, Asset]:
    """Whitelisted mints, wrapped SOL among them, from the contracts of all networks.

    Raises UnknownAsset, MalformedAddress (a mint that is not one, or stands for two assets).
    """
    found = {WRAPPED_SOL: NATIVE}
    for code, address in contracts.items():
        token = asset(code)
        if token.chain != "solana":
            continue
        mint = parse_address(address)
        if mint in found or token == NATIVE or mint in PROGRAMS:
            raise MalformedAddress("a mint for one token", reason="mint", asset=code)
        found[mint] = token
    return found
