"""Making a Safe at first use, and checking that what stands at its address is the Safe described.

Anybody may send the creating call, and whoever does makes the same Safe.
"""

from dataclasses import dataclass
from typing import cast

from orion.chains.ethereum.abi import (
    MalformedCall,
    address_bytes,
    address_text,
    address_word,
    decode,
    encode,
    uint_word,
)
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.safe_account import creation_of, owners_of, proxy_address
from orion.chains.ethereum.safe_contracts import (
    CREATE_PROXY,
    GET_MODULES,
    GET_OWNERS,
    SENTINEL,
    safe_contracts,
)
from orion.chains.spend import THRESHOLD, CustodyAccount, SpendRefused
from orion.errors import OrionError

# Where a Safe's storage has what decides over its coins (SafeStorage.sol, FallbackManager.sol,
# GuardManager.sol), for eth_getStorageAt.
SINGLETON_SLOT = 0
THRESHOLD_SLOT = 4
FALLBACK_SLOT = int.from_bytes(keccak256(b"fallback_manager.handler.address"), "big")
GUARD_SLOT = int.from_bytes(keccak256(b"guard_manager.guard.address"), "big")
# Call data for eth_call. Ten modules are a page; one is too many.
OWNERS_CALL = GET_OWNERS.call()
MODULES_CALL = GET_MODULES.call(SENTINEL, 10)


class SafeMismatch(OrionError):
    """What stands at an account's address is not the Safe that its description promises: pay
    nothing to it. The field `reason` is a stable word.
    """

    code = "safe_mismatch"


@dataclass(frozen=True, slots=True)
class FoundSafe:
    """What a node answered about an address, at one block: eth_getCode, four words of
    eth_getStorageAt (32 bytes each), two results of eth_call.
    """

    code: bytes
    singleton: bytes
    threshold: bytes
    fallback_handler: bytes
    guard: bytes
    owners: bytes
    modules: bytes


def factory_address() -> str:
    """The contract that the creating call goes to."""
    return safe_contracts().factory


def creation_call(account: CustodyAccount) -> bytes:
    """Call data for the factory that makes the Safe of `account`. Raises SafeMismatch (reason
    rotated): once its keys were replaced, its own keys no longer make it.
    """
    if account.anchor:
        raise SafeMismatch("made by another set's keys, so it exists", reason="rotated")
    return creation_of(account)


def created_address(data: bytes) -> str:
    """Where the factory puts what a creating call makes: a proxy of the pinned singleton.

    The address follows from owners, threshold and all else in the `setup` call: one that belongs to
    an account can only come from the account's own. Raises SpendRefused (reason creation).
    """
    try:
        singleton, setup, nonce = cast(tuple[bytes, bytes, int], CREATE_PROXY.read(data))
    except MalformedCall as exc:
        raise SpendRefused("not the making of a Safe", reason="creation") from exc
    if singleton != address_bytes(safe_contracts().singleton):
        raise SpendRefused("a proxy of other code", reason="creation")
    return proxy_address(keccak256(setup), nonce)


def check_found(account: CustodyAccount, found: FoundSafe) -> None:
    """Compare what a node found at the account's address with the account.

    Raises SafeMismatch: reason absent (no code there), code, singleton, threshold, owners (others,
    or in another order), modules (one could spend alone), guard, fallback_handler, or answer (not
    the form of such an answer).
    """
    if not found.code:
        raise SafeMismatch("nothing stands at this address yet", reason="absent")
    contracts = safe_contracts()
    if keccak256(found.code) != contracts.proxy_code_hash:
        raise SafeMismatch("not the code of a Safe's proxy", reason="code")
    words = {
        "singleton": (found.singleton, address_word(address_bytes(contracts.singleton))),
        "threshold": (found.threshold, uint_word(THRESHOLD)),
        "guard": (found.guard, uint_word(0)),
        "fallback_handler": (
            found.fallback_handler,
            address_word(address_bytes(contracts.fallback_handler)),
        ),
    }
    for reason, (word, expected) in words.items():
        if word != expected:
            raise SafeMismatch("its storage says otherwise", reason=reason)
    try:
        (owners,) = cast(tuple[tuple[bytes, ...]], decode(("address[]",), found.owners))
    except MalformedCall as exc:
        raise SafeMismatch("not a list of owners", reason="answer") from exc
    if owners != owners_of(account.keys):
        listed = " ".join(map(address_text, owners))
        raise SafeMismatch("other owners", reason="owners", found=listed[:255])
    # getModulesPaginated: no module, and the sentinel as the next page.
    if found.modules != encode(("address[]", "address"), ((), SENTINEL)):
        raise SafeMismatch("a module may spend without owners", reason="modules")
