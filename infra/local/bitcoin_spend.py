"""One kind of Bitcoin transaction: P2WPKH coins of one key to one payee, with change.

Version 0 witness programs are signed over the digest of BIP-143; the witness is [signature, public
key].
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from coincurve import PrivateKey

from infra.local.btcd import witness_script

# Below this an output is not relayed; what would be left over goes to the miner.
_DUST_SATS = 294
_SEQUENCE = (0xFFFFFFFD).to_bytes(4, "little")
_SIGHASH_ALL = 1
_VERSION = (2).to_bytes(4, "little")
_LOCK_TIME = bytes(4)


@dataclass(frozen=True, slots=True)
class Coin:
    """An output that pays to the key; `txid` in display form."""

    txid: str
    vout: int
    sats: int
    coinbase: bool


def signed_spend(
    key: PrivateKey, coins: Sequence[Coin], script: bytes, sats: int, fee_sats: int
) -> tuple[bytes, str]:
    """The signed transaction and its id (display form); the coins must cover `sats` and the fee."""
    change_sats = sum(coin.sats for coin in coins) - sats - fee_sats
    if change_sats < 0:
        raise ValueError("the coins do not cover the payment and its fee")
    outputs = [_output(sats, script)]
    if change_sats >= _DUST_SATS:
        outputs.append(_output(change_sats, witness_script(key)))
    inputs = [_outpoint(coin) + b"\x00" + _SEQUENCE for coin in coins]
    body = _count(len(inputs)) + b"".join(inputs) + _count(len(outputs)) + b"".join(outputs)
    public = key.public_key.format(compressed=True)
    witnesses = []
    for index in range(len(coins)):
        digest = _digest(coins, index, key, b"".join(outputs))
        signature = key.sign(digest, hasher=None) + bytes((_SIGHASH_ALL,))
        witnesses.append(
            b"\x02" + _count(len(signature)) + signature + _count(len(public)) + public
        )
    txid = _sha256d(_VERSION + body + _LOCK_TIME)[::-1].hex()
    return _VERSION + b"\x00\x01" + body + b"".join(witnesses) + _LOCK_TIME, txid


def _digest(coins: Sequence[Coin], index: int, key: PrivateKey, outputs: bytes) -> bytes:
    """What input `index` signs: BIP-143, "Specification", items 1 to 10, SIGHASH_ALL."""
    coin = coins[index]
    public_hash = witness_script(key)[2:]
    script_code = b"\x19\x76\xa9\x14" + public_hash + b"\x88\xac"
    return _sha256d(
        b"".join(
            (
                _VERSION,
                _sha256d(b"".join(_outpoint(each) for each in coins)),
                _sha256d(_SEQUENCE * len(coins)),
                _outpoint(coin),
                script_code,
                coin.sats.to_bytes(8, "little"),
                _SEQUENCE,
                _sha256d(outputs),
                _LOCK_TIME,
                _SIGHASH_ALL.to_bytes(4, "little"),
            )
        )
    )


def _outpoint(coin: Coin) -> bytes:
    return bytes.fromhex(coin.txid)[::-1] + coin.vout.to_bytes(4, "little")


def _output(sats: int, script: bytes) -> bytes:
    return sats.to_bytes(8, "little") + _count(len(script)) + script


def _count(value: int) -> bytes:
    """The compact size of a number below 65,536."""
    return bytes((value,)) if value < 0xFD else b"\xfd" + value.to_bytes(2, "little")


def _sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()
