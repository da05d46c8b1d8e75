"""The account of a custody set: P2WSH of a 3-of-5 over its keys in ascending order (BIP-67), and
its output descriptor (BIP-380, 381, 383).
"""

import hashlib

from coincurve import PublicKey

from orion.chains.bitcoin import bech32
from orion.chains.bitcoin.descriptor import with_checksum
from orion.chains.bitcoin.network import network_of
from orion.chains.spend import CUSTODIANS, THRESHOLD
from orion.errors import OrionError

_OP_CHECKMULTISIG = 0xAE
_OP_1_MINUS_1 = 0x50
_PUSH_PUBLIC_KEY = b"\x21"
_PUBLIC_KEY_BYTES = 33


class MalformedCustodyKeys(OrionError):
    """Not five different compressed points of secp256k1: nobody could spend what is paid there."""

    code = "malformed_custody_keys"


def sorted_keys(keys: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Compressed keys in the order of the script. Raises MalformedCustodyKeys."""
    if len(keys) != CUSTODIANS or len(set(keys)) != CUSTODIANS:
        raise MalformedCustodyKeys("a custody set has five different keys")
    for key in keys:
        if len(key) != _PUBLIC_KEY_BYTES:
            raise MalformedCustodyKeys("a compressed key has 33 bytes", size_bytes=len(key))
        try:
            PublicKey(key)
        except ValueError as exc:
            raise MalformedCustodyKeys("a key is no point of secp256k1") from exc
    return tuple(sorted(keys))


def multisig_script(threshold: int, keys: tuple[bytes, ...]) -> bytes:
    """`threshold` of `keys` (at most 16), in the order given: OP_k, the keys, OP_n,
    OP_CHECKMULTISIG.
    """
    pushes = b"".join(_PUSH_PUBLIC_KEY + key for key in keys)
    counts = _OP_1_MINUS_1 + threshold, _OP_1_MINUS_1 + len(keys)
    return bytes((counts[0],)) + pushes + bytes((counts[1], _OP_CHECKMULTISIG))


def witness_script(keys: tuple[bytes, ...]) -> bytes:
    """The script of a custody set's account. Raises MalformedCustodyKeys."""
    return multisig_script(THRESHOLD, sorted_keys(keys))


def output_script(script: bytes) -> bytes:
    """P2WSH of a witness script: version 0, its SHA-256 (BIP-141)."""
    return b"\x00\x20" + hashlib.sha256(script).digest()


def script_address(script: bytes, network: str) -> str:
    """The P2WSH address of a witness script. Raises UnknownNetwork."""
    program = output_script(script)[2:]
    return bech32.encode(network_of(network).hrp, 0, program, bech32.Encoding.BECH32)


def account_descriptor(keys: tuple[bytes, ...]) -> str:
    """The account as a descriptor with its checksum, keys in the order of the custodians:
    `sortedmulti` itself puts them in the script's order.
    """
    listed = ",".join(key.hex() for key in keys)
    return with_checksum(f"wsh(sortedmulti({THRESHOLD},{listed}))")
