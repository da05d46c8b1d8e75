"""Transactions of single keys, with a fee market (EIP-1559): type 2 of EIP-2718 and no other."""

from dataclasses import dataclass

from orion.chains.ethereum.abi import MalformedCall, address_bytes, address_text
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.rlp import (
    Item,
    MalformedRlp,
    decode,
    decode_integer,
    encode,
    encode_integer,
)
from orion.chains.ethereum.safe_signatures import well_formed
from orion.chains.spend import SpendRefused

TRANSACTION_TYPE = 2
TRANSACTION_BYTES_MAX = 131_072
# What any transaction costs (yellow paper, G_transaction).
GAS_MIN = 21_000
# 10,000 gwei: 20 times the highest base fee ever seen; beyond it is a mistake of units.
MAX_FEE_WEI_MAX = 10_000 * 10**9
_FIELDS = 9
_NONCE_BITS = 64  # EIP-2681: below 2^64 - 1.


@dataclass(frozen=True, slots=True)
class FeeMarketTransaction:
    """A call with an empty access list. `to` is in the form of records; fees are wei per gas."""

    chain_id: int
    nonce: int
    max_priority_fee_wei: int
    max_fee_wei: int
    gas_limit: int
    to: str
    value_wei: int
    data: bytes

    def encode(self) -> bytes:
        """The unsigned form: 2 and the list of nine fields (EIP-1559). Raises MalformedCall for an
        address and MalformedRlp for a number that has no form.
        """
        return bytes([TRANSACTION_TYPE]) + encode(self._fields())

    def body_digest(self) -> bytes:
        """Keccak-256 over chain id, nonce, to, value and data: the same for every fee."""
        numbers = [encode_integer(number) for number in (self.chain_id, self.nonce)]
        body = [*numbers, address_bytes(self.to), encode_integer(self.value_wei), self.data]
        return keccak256(encode(body))

    @property
    def fee_max_wei(self) -> int:
        """The most that the sender can pay for gas."""
        return self.gas_limit * self.max_fee_wei

    def signed(self, signature: bytes) -> bytes:
        """The transaction with 65 bytes r, s, recovery id. Raises SignatureRefused for a form that
        no node accepts; whose signature it is, only the key says.
        """
        well_formed(signature)
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:64]))
        parity = [encode_integer(number) for number in (signature[64], r, s)]
        return bytes([TRANSACTION_TYPE]) + encode([*self._fields(), *parity])

    def _fields(self) -> list[Item]:
        numbers: list[Item] = [
            encode_integer(number)
            for number in (
                self.chain_id,
                self.nonce,
                self.max_priority_fee_wei,
                self.max_fee_wei,
                self.gas_limit,
            )
        ]
        return [*numbers, address_bytes(self.to), encode_integer(self.value_wei), self.data, ()]


def parse_transaction(unsigned: bytes, gas_max: int) -> FeeMarketTransaction:
    """Read the unsigned form. Raises SpendRefused: size, form, access_list, network (chain id 0
    would be valid everywhere), gas (outside GAS_MIN to `gas_max`), fee (a priority fee above the
    maximum, which no node accepts, or a fee beyond MAX_FEE_WEI_MAX).
    """
    if len(unsigned) > TRANSACTION_BYTES_MAX:
        raise SpendRefused("a transaction too large", reason="size")
    try:
        transaction = _fields_of(unsigned)
    except (MalformedRlp, MalformedCall) as exc:
        raise SpendRefused("not one unsigned transaction of type 2", reason="form") from exc
    if transaction.chain_id == 0:
        raise SpendRefused("a transaction for every network", reason="network")
    if not GAS_MIN <= transaction.gas_limit <= gas_max:
        raise SpendRefused("a gas limit out of bounds", reason="gas", gas_max=gas_max)
    if not transaction.max_priority_fee_wei <= transaction.max_fee_wei <= MAX_FEE_WEI_MAX:
        raise SpendRefused("a fee out of bounds", reason="fee")
    return transaction


def signing_digest(unsigned: bytes) -> bytes:
    """What the sender signs (EIP-1559)."""
    return keccak256(unsigned)


def _fields_of(unsigned: bytes) -> FeeMarketTransaction:
    if unsigned[:1] != bytes([TRANSACTION_TYPE]):
        raise MalformedRlp("another type of transaction")
    fields = decode(unsigned[1:])
    if not isinstance(fields, tuple) or len(fields) != _FIELDS:
        raise MalformedRlp("not nine fields")
    chain_id, nonce, priority_fee, max_fee, gas, to, value, data, access_list = fields
    if not isinstance(to, bytes) or not isinstance(data, bytes):
        raise MalformedRlp("a list where bytes belong")
    if len(to) != 20:
        raise MalformedRlp("makes a contract, or has no address")
    if access_list != ():
        raise SpendRefused("has an access list", reason="access_list")
    return FeeMarketTransaction(
        chain_id=decode_integer(chain_id, 256),
        nonce=decode_integer(nonce, _NONCE_BITS),
        max_priority_fee_wei=decode_integer(priority_fee, 256),
        max_fee_wei=decode_integer(max_fee, 256),
        gas_limit=decode_integer(gas, 64),
        to=address_text(to),
        value_wei=decode_integer(value, 256),
        data=data,
    )
