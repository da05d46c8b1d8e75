"""Sweeps: coins of wallets' own P2WPKH addresses, paid out of them by one signer.

The signer knows which public key each input must belong to; nothing in the PSBT can say otherwise.
There is no change: every output is a payment, for the caller to compare with the group's wallets.
"""

import hashlib
from collections.abc import Mapping

from orion.chains.bitcoin.encode import with_witnesses
from orion.chains.bitcoin.network import network_of
from orion.chains.bitcoin.psbt import Psbt, parse_psbt
from orion.chains.bitcoin.psbt_review import Lock, review
from orion.chains.bitcoin.script_signature import script_signature
from orion.chains.bitcoin.sighash import public_key_hash_code
from orion.chains.secp256k1 import MalformedSignature
from orion.chains.spend import SignatureRefused, Spend, SpendRefused

# About 68 virtual bytes each: a tenth of what nodes relay as one transaction.
INPUTS_MAX = 200
_PUBLIC_KEY_BYTES = 33
_COMPRESSED = (b"\x02", b"\x03")


def decode_sweep(
    unsigned: bytes,
    owners: tuple[bytes, ...],
    network: str,
    contracts: Mapping[str, str],  # noqa: ARG001 - Bitcoin has no tokens.
) -> Spend:
    """Read a PSBT whose inputs belong to `owners`, compressed public keys in the inputs' order.

    Raises SpendRefused (reasons as for custody, and `owners`), UnknownNetwork.
    """
    return _decode(unsigned, owners, network)[1]


def assemble_sweep(
    unsigned: bytes, owners: tuple[bytes, ...], network: str, signatures: tuple[bytes, ...]
) -> bytes:
    """The signed transaction, one signature of 65 bytes r, s, recovery id for each input.

    Witness of an input: signature and public key (BIP-141, "P2WPKH"). Raises as `decode_sweep`, and
    SignatureRefused (field `input`).
    """
    psbt, spend = _decode(unsigned, owners, network)
    if len(signatures) != len(owners):
        raise SignatureRefused("one signature for each input", given=len(signatures))
    stacks = []
    for index, (owner, digest, signature) in enumerate(
        zip(owners, spend.messages, signatures, strict=True)
    ):
        try:
            stacks.append((script_signature(owner, digest, signature), owner))
        except MalformedSignature as exc:
            raise SignatureRefused(exc.detail, input=index) from exc
    return with_witnesses(psbt.transaction, stacks)


def _decode(unsigned: bytes, owners: tuple[bytes, ...], network: str) -> tuple[Psbt, Spend]:
    known = network_of(network)
    psbt = parse_psbt(unsigned)
    if len(owners) != len(psbt.inputs):
        raise SpendRefused("one owner for each input", reason="owners", owners=len(owners))
    locks = [_lock(owner) for owner in owners]
    return psbt, review(psbt, locks, known, change=None, inputs_max=INPUTS_MAX)


def _lock(owner: bytes) -> Lock:
    """P2WPKH takes compressed keys only (BIP-143, "Restrictions on public key type")."""
    if len(owner) != _PUBLIC_KEY_BYTES or owner[:1] not in _COMPRESSED:
        raise SpendRefused("owners are compressed public keys", reason="owners")
    key_hash = hashlib.new("ripemd160", hashlib.sha256(owner).digest()).digest()
    return Lock(b"\x00\x14" + key_hash, public_key_hash_code(key_hash), None)
