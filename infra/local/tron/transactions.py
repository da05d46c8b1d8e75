"""Signed transactions: their bytes, their id, and their JSON form.

The id is SHA-256 over raw_data's bytes (TIP-16's signatures are over it, too). Source: java-tron's
TransactionCapsule; developers.tron.network "Transactions".
"""

import hashlib
from dataclasses import dataclass

from infra.local.tron.json_form import from_json, to_json
from infra.local.tron.schema import (
    CONTRACT_NUMBERS,
    CONTRACT_TYPES,
    CONTRACTS,
    RAW,
    TRANSACTION,
    TYPE_URL_PREFIX,
)
from infra.local.tron.wire import (
    MalformedMessage,
    Message,
    decode,
    encode,
    number,
    octets,
    part,
    parts,
    several,
)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One contract with its signatures; `raw` decoded from exactly `raw_bytes`."""

    raw: Message
    raw_bytes: bytes
    signatures: tuple[bytes, ...]
    kind: str
    contract: Message
    permission_id: int

    @property
    def txid(self) -> bytes:
        return hashlib.sha256(self.raw_bytes).digest()

    @property
    def contract_type(self) -> int:
        return CONTRACT_NUMBERS[self.kind]

    @property
    def owner(self) -> bytes:
        return octets(self.contract, "owner_address")

    @property
    def encoded(self) -> bytes:
        """The message Transaction without results, which bandwidth is counted by."""
        return encode(TRANSACTION, {"raw_data": self.raw, "signature": list(self.signatures)})

    def shown(self, *, visible: bool) -> dict[str, object]:
        """As java-tron shows it."""
        (one,) = parts(self.raw, "contract")
        contract: dict[str, object] = {
            "parameter": {
                "value": to_json(CONTRACTS[self.kind], self.contract, visible=visible),
                "type_url": TYPE_URL_PREFIX + self.kind,
            },
            "type": self.kind,
        }
        if self.permission_id:
            contract["Permission_id"] = number(one, "Permission_id")
        plain = {name: value for name, value in self.raw.items() if name != "contract"}
        out: dict[str, object] = {
            "visible": visible,
            "txID": self.txid.hex(),
            "raw_data": {"contract": [contract], **to_json(RAW, plain, visible=visible)},
            "raw_data_hex": self.raw_bytes.hex(),
        }
        if self.signatures:
            out["signature"] = [signature.hex() for signature in self.signatures]
        return out


def read_raw(raw_bytes: bytes, signatures: tuple[bytes, ...]) -> Transaction:
    """The transaction of these bytes. Raises MalformedMessage."""
    raw = decode(RAW, raw_bytes)
    if encode(RAW, raw) != raw_bytes:
        raise MalformedMessage("raw_data is not in canonical order")
    contracts = parts(raw, "contract")
    if len(contracts) != 1:
        raise MalformedMessage(f"a transaction has one contract, not {len(contracts)}")
    kind = CONTRACT_TYPES.get(number(contracts[0], "type"))
    parameter = part(contracts[0], "parameter")
    if kind is None or parameter is None:
        raise MalformedMessage("no contract type that this chain knows")
    if parameter.get("type_url") != TYPE_URL_PREFIX + kind:
        raise MalformedMessage("the parameter's type is not the contract's")
    return Transaction(
        raw=raw,
        raw_bytes=raw_bytes,
        signatures=signatures,
        kind=kind,
        contract=decode(CONTRACTS[kind], octets(parameter, "value")),
        permission_id=number(contracts[0], "Permission_id"),
    )


def read_bytes(data: bytes) -> Transaction:
    """The transaction of a whole message Transaction. Raises MalformedMessage."""
    message = decode(TRANSACTION, data)
    raw = part(message, "raw_data")
    if raw is None:
        raise MalformedMessage("no raw_data")
    signatures = tuple(one for one in several(message, "signature") if isinstance(one, bytes))
    found = read_raw(encode(RAW, raw), signatures)
    if not data.startswith(found.encoded):
        raise MalformedMessage("the transaction is not in canonical order")
    return found


def build(kind: str, contract: Message, raw: Message, *, permission_id: int = 0) -> Transaction:
    """An unsigned transaction; `raw` gives the reference block, times and fee limit."""
    parameter = {
        "type_url": TYPE_URL_PREFIX + kind,
        "value": encode(CONTRACTS[kind], contract),
    }
    wrapped: Message = {"type": CONTRACT_NUMBERS[kind], "parameter": parameter}
    if permission_id:
        wrapped["Permission_id"] = permission_id
    return read_raw(encode(RAW, {**raw, "contract": [wrapped]}), ())


def read_shown(source: object) -> Transaction:
    """The transaction of a request's JSON. As in java-tron, raw_data counts, not raw_data_hex.

    Raises MalformedMessage.
    """
    if not isinstance(source, dict):
        raise MalformedMessage("no JSON object")
    raw_json = source.get("raw_data")
    visible = source.get("visible") is True
    if not isinstance(raw_json, dict):
        raise MalformedMessage("no raw_data")
    contracts = raw_json.get("contract")
    if not isinstance(contracts, list) or len(contracts) != 1 or not isinstance(contracts[0], dict):
        raise MalformedMessage("a transaction has one contract")
    kind = contracts[0].get("type")
    parameter = contracts[0].get("parameter")
    if not isinstance(kind, str) or kind not in CONTRACTS or not isinstance(parameter, dict):
        raise MalformedMessage("no contract type that this chain knows")
    contract = from_json(CONTRACTS[kind], parameter.get("value"), visible=visible)
    plain = {name: value for name, value in raw_json.items() if name != "contract"}
    raw = from_json(RAW, plain, visible=visible)
    wrapped = from_json_permission(contracts[0])
    unsigned = build(kind, contract, raw, permission_id=wrapped)
    listed = source.get("signature", [])
    signed = listed if isinstance(listed, list) else [listed]
    try:
        signatures = tuple(bytes.fromhex(str(one).removeprefix("0x")) for one in signed)
    except ValueError as exc:
        raise MalformedMessage("a signature is not hex") from exc
    return read_raw(unsigned.raw_bytes, signatures)


def from_json_permission(contract: dict[str, object]) -> int:
    """The Permission_id beside a contract, 0 when absent. Raises MalformedMessage."""
    found = contract.get("Permission_id", 0)
    if isinstance(found, bool) or not isinstance(found, int):
        raise MalformedMessage("Permission_id is no whole number")
    return found
