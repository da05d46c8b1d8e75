"""A Safe transaction as custodians get it, its hash (EIP-712), and the call that executes it.

The unsigned form is one JSON object, names sorted, no white space, ASCII:
{"baseGas":"0","chain_id":"1","data":"0x","gasPrice":"0","gasToken":"0x00…","nonce":"7",
"operation":0,"refundReceiver":"0x00…","safe":"0x…","safeTxGas":"0","to":"0x…","v":1,"value":"5"}
Numbers are decimal text except `v` and `operation`; addresses and data are lower-case hex. The five
fields that would let the Safe pay for its gas are in it, and must be zero: that they are is signed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from orion.chains.ethereum.abi import (
    UINT256_MAX,
    ZERO_ADDRESS,
    MalformedCall,
    address_bytes,
    address_text,
    address_word,
    uint_word,
)
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.safe_contracts import EXECUTE
from orion.chains.spend import CustodyAccount, SpendRefused
from orion.records import MalformedJson, parse_object

VERSION = 1
CALL = 0
DELEGATE_CALL = 1
# Fifty token payments in one multi-send are 16 KB of JSON.
UNSIGNED_BYTES_MAX = 65_536

_DOMAIN_TYPE = keccak256(b"EIP712Domain(uint256 chainId,address verifyingContract)")
_SAFE_TX_TYPE = keccak256(
    b"SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,"
    b"uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
)
_NO_REFUND: dict[str, object] = {
    "safeTxGas": "0",
    "baseGas": "0",
    "gasPrice": "0",
    "gasToken": ZERO_ADDRESS,
    "refundReceiver": ZERO_ADDRESS,
}
_FIELDS = {"v", "chain_id", "safe", "to", "value", "data", "operation", "nonce", *_NO_REFUND}
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z", re.ASCII)
_DATA = re.compile(r"0x(?:[0-9a-f]{2})*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class SafeTransaction:
    """A transaction of a Safe that pays nobody for its gas. `safe` and `to` are in the form of
    records, `value` is wei, `operation` CALL or DELEGATE_CALL.
    """

    chain_id: int
    safe: str
    to: str
    value: int
    data: bytes
    operation: int
    nonce: int

    def encode(self) -> bytes:
        """The unsigned form."""
        fields = {
            "v": VERSION,
            "chain_id": str(self.chain_id),
            "safe": self.safe,
            "to": self.to,
            "value": str(self.value),
            "data": "0x" + self.data.hex(),
            "operation": self.operation,
            "nonce": str(self.nonce),
            **_NO_REFUND,
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")

    @property
    def digest(self) -> bytes:
        """safeTxHash: what owners sign (EIP-712; getTransactionHash of the Safe)."""
        domain = keccak256(
            _DOMAIN_TYPE + uint_word(self.chain_id) + address_word(address_bytes(self.safe))
        )
        content = keccak256(
            _SAFE_TX_TYPE
            + address_word(address_bytes(self.to))
            + uint_word(self.value)
            + keccak256(self.data)
            + uint_word(self.operation)
            + 5 * bytes(32)
            + uint_word(self.nonce)
        )
        return keccak256(b"\x19\x01" + domain + content)

    def execution(self, signatures: bytes) -> bytes:
        """Call data of `execTransaction` with owners' signatures, 65 bytes each, ascending by
        owner.
        """
        return EXECUTE.call(
            address_bytes(self.to),
            self.value,
            self.data,
            self.operation,
            0,
            0,
            0,
            bytes(20),
            bytes(20),
            signatures,
        )


def parse_safe_transaction(unsigned: bytes) -> SafeTransaction:
    """Read the unsigned form. Raises SpendRefused (reason size, form, version, gas_payment,
    operation).
    """
    if len(unsigned) > UNSIGNED_BYTES_MAX:
        raise SpendRefused("an unsigned transaction too large", reason="size")
    fields = _object(unsigned)
    if type(fields["v"]) is not int or fields["v"] != VERSION:
        raise SpendRefused("another version of the unsigned form", reason="version")
    if any(fields[name] != zero for name, zero in _NO_REFUND.items()):
        raise SpendRefused("the Safe would pay for its gas", reason="gas_payment")
    operation = fields["operation"]
    if type(operation) is not int or operation not in (CALL, DELEGATE_CALL):
        raise SpendRefused("neither a call nor a delegated call", reason="operation")
    transaction = SafeTransaction(
        chain_id=_number(fields["chain_id"]),
        safe=_address(fields["safe"]),
        to=_address(fields["to"]),
        value=_number(fields["value"]),
        data=_bytes(fields["data"]),
        operation=operation,
        nonce=_number(fields["nonce"]),
    )
    if transaction.encode() != unsigned:
        raise SpendRefused("not the one form of this transaction", reason="form")
    return transaction


def transaction_of(unsigned: bytes, account: CustodyAccount) -> SafeTransaction:
    """The unsigned form of a transaction of `account`. Raises SpendRefused (also network,
    account).
    """
    transaction = parse_safe_transaction(unsigned)
    if str(transaction.chain_id) != account.place.network:
        raise SpendRefused("a transaction for another network", reason="network")
    if transaction.safe != account.address:
        raise SpendRefused("a transaction of another account", reason="account")
    return transaction


def _object(unsigned: bytes) -> Mapping[str, object]:
    try:
        fields = parse_object(unsigned)
    except MalformedJson as exc:
        raise SpendRefused("not one JSON object", reason="form") from exc
    if set(fields) != _FIELDS:
        raise SpendRefused("not an object of exactly these fields", reason="form")
    return fields


def _number(value: object) -> int:
    if isinstance(value, str) and _DECIMAL.match(value) and int(value) <= UINT256_MAX:
        return int(value)
    raise SpendRefused("not a decimal number of 256 bits", reason="form")


def _address(value: object) -> str:
    try:
        return address_text(address_bytes(value if isinstance(value, str) else ""))
    except MalformedCall as exc:
        raise SpendRefused("not an address in lower-case hex", reason="form") from exc


def _bytes(value: object) -> bytes:
    if isinstance(value, str) and _DATA.match(value):
        return bytes.fromhex(value[2:])
    raise SpendRefused("not bytes in lower-case hex", reason="form")
