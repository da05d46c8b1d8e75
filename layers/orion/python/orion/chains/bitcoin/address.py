"""Addresses and the output scripts that they stand for.

P2PKH and P2SH in base58check; witness programs in bech32 (version 0, BIP-173) or bech32m (1 to 16,
BIP-350). Bare public keys and bare multisig have no address.
"""

from dataclasses import dataclass
from enum import StrEnum

from orion.chains import base58
from orion.chains.bitcoin import bech32
from orion.chains.bitcoin.network import NETWORKS, Network, network_of
from orion.chains.errors import MalformedAddress, WrongNetworkAddress

_OP_1_MINUS_1 = 0x50
_HASH_BYTES = 20
_WITNESS_VERSION_MAX = 16


class Kind(StrEnum):
    """What an address commits to."""

    P2PKH = "p2pkh"
    P2SH = "p2sh"
    P2WPKH = "p2wpkh"
    P2WSH = "p2wsh"
    P2TR = "p2tr"
    WITNESS = (
        "witness"  # A version that no soft fork has given a meaning yet (BIP-350: still payable).
    )


@dataclass(frozen=True, slots=True)
class Address:
    """An address in its canonical text and the script of an output that pays to it."""

    text: str
    kind: Kind
    script: bytes


def address_of(script: bytes, network: Network) -> str | None:
    """The address of an output script, None for a script that has none."""
    size = len(script)
    if size == 22 and script.startswith(b"\x00\x14"):
        return bech32.encode(network.hrp, 0, script[2:], bech32.Encoding.BECH32)
    if size == 34 and script.startswith(b"\x51\x20"):
        return bech32.encode(network.hrp, 1, script[2:], bech32.Encoding.BECH32M)
    if size == 25 and script.startswith(b"\x76\xa9\x14") and script.endswith(b"\x88\xac"):
        return base58.encode_check(bytes((network.p2pkh_version,)) + script[3:23])
    if size == 23 and script.startswith(b"\xa9\x14") and script.endswith(b"\x87"):
        return base58.encode_check(bytes((network.p2sh_version,)) + script[2:22])
    if size == 34 and script.startswith(b"\x00\x20"):
        return bech32.encode(network.hrp, 0, script[2:], bech32.Encoding.BECH32)
    return None


def parse_address(text: str, network: str) -> Address:
    """Read an address of `network`.

    Raises MalformedAddress (field `reason`), WrongNetworkAddress, UnknownNetwork.
    """
    wanted = network_of(network)
    head = text[:5].lower()
    if any(head.startswith(f"{known.hrp}1") for known in NETWORKS.values()):
        return _witness_address(text, wanted)
    return _base58_address(text, wanted)


def _witness_address(text: str, wanted: Network) -> Address:
    hrp, symbols, encoding = bech32.decode(text)
    if hrp != wanted.hrp:
        if any(hrp == known.hrp for known in NETWORKS.values()):
            raise WrongNetworkAddress("an address of another network", network=wanted.name)
        raise MalformedAddress("an unknown prefix", reason="prefix")
    if not symbols:
        raise MalformedAddress("no witness program", reason="length")
    version, program = symbols[0], bech32.eight_bits(symbols[1:])
    if version > _WITNESS_VERSION_MAX:
        raise MalformedAddress("witness versions end at 16", reason="version")
    if not 2 <= len(program) <= 40 or (version == 0 and len(program) not in (20, 32)):
        raise MalformedAddress("no witness program has this length", reason="length")
    if (encoding is bech32.Encoding.BECH32) != (version == 0):
        raise MalformedAddress("the other checksum belongs to this version", reason="checksum")
    return Address(
        text=text.lower(), kind=_witness_kind(version, program), script=_push(version, program)
    )


def _witness_kind(version: int, program: bytes) -> Kind:
    if version == 0:
        return Kind.P2WPKH if len(program) == _HASH_BYTES else Kind.P2WSH
    return Kind.P2TR if version == 1 and len(program) == 32 else Kind.WITNESS


def _push(version: int, program: bytes) -> bytes:
    return bytes((version + _OP_1_MINUS_1 if version else 0, len(program))) + program


def _base58_address(text: str, wanted: Network) -> Address:
    payload = base58.decode_check(text)
    version, digest = payload[0], payload[1:]
    if len(digest) != _HASH_BYTES:
        raise MalformedAddress("no address has this length", reason="length")
    if version == wanted.p2pkh_version:
        return Address(text, Kind.P2PKH, b"\x76\xa9\x14" + digest + b"\x88\xac")
    if version == wanted.p2sh_version:
        return Address(text, Kind.P2SH, b"\xa9\x14" + digest + b"\x87")
    if any(version in (known.p2pkh_version, known.p2sh_version) for known in NETWORKS.values()):
        raise WrongNetworkAddress("an address of another network", network=wanted.name)
    raise MalformedAddress("an unknown version", reason="version")


def canonical_address(text: str, network: str) -> str:
    """The form in records: base58 as written, witness addresses in lower case.

    Raises as `parse_address`.
    """
    return parse_address(text, network).text


def display_address(address: str) -> str:
    """The same text: Bitcoin's canonical form is the one for people."""
    return address
