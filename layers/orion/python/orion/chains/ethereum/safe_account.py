"""The Safe of a custody set: five owners, threshold 3, at an address that follows from the keys.

The proxy is made by SafeProxyFactory with CREATE2 (EIP-1014), so its address is known before it
exists: Keccak-256 over 0xff, the factory, the salt and the hash of the proxy's creation code. The
salt is Keccak-256 over the hash of the `setup` call (owners, threshold, fallback handler) and a
salt nonce, which is Keccak-256 over "orion safe v1" and group, wallet kind and set, a line each.
The network is not in it: a wallet has one address on every network.

Owners stand in custodians' order, in the `setup` call and so in the Safe's linked list. Replacing
a custodian's key puts the new owner where the old one was, so the list is in custodians' order for
ever. The Safe stays where it is, though its keys are another set's then: `rotated_anchor` keeps
what its address follows from.
"""

import re
from collections.abc import Mapping

from coincurve import PublicKey

from orion.chains.errors import MalformedAddress, UnknownNetwork
from orion.chains.ethereum.abi import Value, address_bytes, address_text, uint_word
from orion.chains.ethereum.address import check_network
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.safe_contracts import CREATE_PROXY, SETUP, safe_contracts
from orion.chains.spend import (
    CUSTODIANS,
    THRESHOLD,
    CustodyAccount,
    CustodyKeys,
    CustodyPlace,
    WalletKind,
)

CHAIN = "ethereum"
_ZERO = bytes(20)
_PUBLIC_KEY_BYTES = 33
# The set that made the Safe, and the hash of the `setup` call that it was made with.
_ANCHOR = re.compile(r"(0|[1-9][0-9]{0,9}):([0-9a-f]{64})\Z", re.ASCII)


def owner_of(public_key: bytes) -> bytes:
    """The address of a compressed secp256k1 key, 20 bytes. Raises MalformedAddress (reason
    `public_key`).
    """
    if len(public_key) != _PUBLIC_KEY_BYTES:
        raise MalformedAddress("not a compressed point", reason="public_key")
    try:
        point = bytes(PublicKey(bytes(public_key)).format(compressed=False))
    except ValueError as exc:
        raise MalformedAddress("not a point of secp256k1", reason="public_key") from exc
    return keccak256(point[1:])[12:]


def owners_of(keys: CustodyKeys) -> tuple[bytes, ...]:
    """The five owners, custodians 1 to 5. Raises MalformedAddress."""
    owners = tuple(owner_of(key) for key in keys.secp256k1)
    if len(owners) != CUSTODIANS or len(set(owners)) != CUSTODIANS:
        raise MalformedAddress("a custody set has five different keys", reason="keys")
    return owners


def salt_nonce(group_no: int, kind: WalletKind, set_no: int) -> int:
    """The `saltNonce` of the wallet's proxy."""
    text = f"orion safe v1\n{group_no}\n{kind.value}\n{set_no}"
    return int.from_bytes(keccak256(text.encode("ascii")), "big")


def setup_call(owners: tuple[bytes, ...]) -> bytes:
    """The proxy's first call. No module, no delegated call, nobody is paid for it."""
    handler = address_bytes(safe_contracts().fallback_handler)
    values: tuple[Value, ...] = (owners, THRESHOLD, _ZERO, b"", handler, _ZERO, 0, _ZERO)
    return SETUP.call(*values)


def proxy_address(setup_hash: bytes, nonce: int) -> str:
    """Where the pinned factory puts a proxy of the pinned singleton (EIP-1014)."""
    contracts = safe_contracts()
    salt = keccak256(setup_hash + uint_word(nonce))
    factory = address_bytes(contracts.factory)
    return address_text(keccak256(b"\xff" + factory + salt + contracts.proxy_init_code_hash)[12:])


def safe_account(place: CustodyPlace, keys: CustodyKeys, anchor: str) -> CustodyAccount:
    """The account of `place`. `anchor` is empty while the set that made the Safe holds it.

    Raises UnknownNetwork, MalformedAddress (anchor or keys).
    """
    if place.chain != CHAIN:
        raise UnknownNetwork("a Safe is on ethereum", network=place.chain[:32])
    check_network(place.network)
    owners = owners_of(keys)
    origin_set, setup_hash = place.set_no, keccak256(setup_call(owners))
    if anchor:
        origin_set, setup_hash = _origin(anchor)
    address = proxy_address(setup_hash, salt_nonce(place.group_no, place.kind, origin_set))
    return CustodyAccount(place, keys, anchor, address)


def rotated_anchor(account: CustodyAccount) -> str:
    """The anchor of the same Safe once another set's keys own it: `<set>:<hash of the setup call>`
    of the set that made it.
    """
    return account.anchor or _made_by(account.place.set_no, account.keys)


def anchor_is_ours(
    anchor: str, place: CustodyPlace, origin_keys: Mapping[int, CustodyKeys]
) -> bool:
    """Whether `anchor` can only lead to an address that keys of ours rule: it is empty, or it is
    the one anchor of a Safe that a set in `origin_keys` (by number) made.

    Whoever chooses an anchor freely chooses the `setup` call that the address follows from, so
    could name a Safe of owners of his own. The number is checked too: with another one the keys of
    a retired set would make themselves a Safe where none is. Raises MalformedAddress (of
    `origin_keys`).
    """
    if place.chain != CHAIN:
        return False
    return not anchor or anchor in [_made_by(*each) for each in origin_keys.items()]


def creation_of(account: CustodyAccount) -> bytes:
    """The factory's call that makes the Safe of an account whose anchor is empty."""
    place = account.place
    singleton = address_bytes(safe_contracts().singleton)
    setup = setup_call(owners_of(account.keys))
    return CREATE_PROXY.call(singleton, setup, salt_nonce(place.group_no, place.kind, place.set_no))


def safe_description(account: CustodyAccount) -> dict[str, object]:
    """What an auditor needs to recompute the address: JSON values only."""
    contracts = safe_contracts()
    place = account.place
    origin_set, setup_hash = _origin(rotated_anchor(account))
    owners = owners_of(account.keys)
    return {
        "type": "safe-1.4.1",
        "chain": place.chain,
        "network": place.network,
        "address": account.address,
        "threshold": THRESHOLD,
        "public_keys": [key.hex() for key in account.keys.secp256k1],
        "owners": [address_text(owner) for owner in owners],
        "singleton": contracts.singleton,
        "factory": contracts.factory,
        "fallback_handler": contracts.fallback_handler,
        "proxy_init_code_hash": "0x" + contracts.proxy_init_code_hash.hex(),
        "created_by_set": origin_set,
        "salt_nonce": str(salt_nonce(place.group_no, place.kind, origin_set)),
        "setup_hash": "0x" + setup_hash.hex(),
    }


def _made_by(set_no: int, keys: CustodyKeys) -> str:
    return f"{set_no}:{keccak256(setup_call(owners_of(keys))).hex()}"


def _origin(anchor: str) -> tuple[int, bytes]:
    found = _ANCHOR.match(anchor)
    if found is None:
        raise MalformedAddress("not the anchor of a Safe", reason="anchor")
    return int(found[1]), bytes.fromhex(found[2])
