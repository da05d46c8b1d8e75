"""The messages of Tron's protocol that the stand-in knows, with their field numbers.

Source: tronprotocol/protocol, core/Tron.proto and core/contract/*.proto. The tests compare the
bytes with those of tronweb, which carries the generated code of the same definitions.
"""

from collections.abc import Mapping
from types import MappingProxyType

from infra.local.tron.wire import Field, Kind, Schema

RESOURCES: Mapping[int, str] = MappingProxyType({0: "BANDWIDTH", 1: "ENERGY", 2: "TRON_POWER"})
PERMISSION_TYPES: Mapping[int, str] = MappingProxyType({0: "Owner", 1: "Witness", 2: "Active"})
TYPE_URL_PREFIX = "type.googleapis.com/protocol."

# ContractType of core/Tron.proto; those without an entry in CONTRACTS are refused.
CONTRACT_TYPES: Mapping[int, str] = MappingProxyType(
    {
        0: "AccountCreateContract",
        1: "TransferContract",
        30: "CreateSmartContract",
        31: "TriggerSmartContract",
        46: "AccountPermissionUpdateContract",
        54: "FreezeBalanceV2Contract",
        55: "UnfreezeBalanceV2Contract",
        56: "WithdrawExpireUnfreezeContract",
        57: "DelegateResourceContract",
        58: "UnDelegateResourceContract",
    }
)
CONTRACT_NUMBERS: Mapping[str, int] = MappingProxyType(
    {name: number for number, name in CONTRACT_TYPES.items()}
)


def _number(number: int, name: str) -> Field:
    return Field(number, name, Kind.NUMBER)


def _truth(number: int, name: str) -> Field:
    return Field(number, name, Kind.TRUTH)


def _octets(number: int, name: str) -> Field:
    return Field(number, name, Kind.OCTETS)


def _address(number: int, name: str) -> Field:
    return Field(number, name, Kind.ADDRESS)


def _text(number: int, name: str) -> Field:
    return Field(number, name, Kind.TEXT)


def _choice(number: int, name: str, names: Mapping[int, str]) -> Field:
    return Field(number, name, Kind.CHOICE, names=names)


def _part(number: int, name: str, schema: Schema) -> Field:
    return Field(number, name, Kind.MESSAGE, schema=schema)


def _parts(number: int, name: str, schema: Schema) -> Field:
    return Field(number, name, Kind.MESSAGE, repeated=True, schema=schema)


KEY = Schema("Key", (_address(1, "address"), _number(2, "weight")))
PERMISSION = Schema(
    "Permission",
    (
        _choice(1, "type", PERMISSION_TYPES),
        _number(2, "id"),
        _text(3, "permission_name"),
        _number(4, "threshold"),
        _number(5, "parent_id"),
        _octets(6, "operations"),
        _parts(7, "keys", KEY),
    ),
)

_ABI_PARAM = Schema("Param", (_truth(1, "indexed"), _text(2, "name"), _text(3, "type")))
_ENTRY_TYPES = MappingProxyType(
    {
        0: "UnknownEntryType",
        1: "Constructor",
        2: "Function",
        3: "Event",
        4: "Fallback",
        5: "Receive",
        6: "Error",
    }
)
_MUTABILITY = MappingProxyType(
    {0: "UnknownMutabilityType", 1: "Pure", 2: "View", 3: "Nonpayable", 4: "Payable"}
)
_ABI_ENTRY = Schema(
    "Entry",
    (
        _truth(1, "anonymous"),
        _truth(2, "constant"),
        _text(3, "name"),
        _parts(4, "inputs", _ABI_PARAM),
        _parts(5, "outputs", _ABI_PARAM),
        _choice(6, "type", _ENTRY_TYPES),
        _truth(7, "payable"),
        _choice(8, "stateMutability", _MUTABILITY),
    ),
)
ABI = Schema("ABI", (_parts(1, "entrys", _ABI_ENTRY),))
SMART_CONTRACT = Schema(
    "SmartContract",
    (
        _address(1, "origin_address"),
        _address(2, "contract_address"),
        _part(3, "abi", ABI),
        _octets(4, "bytecode"),
        _number(5, "call_value"),
        _number(6, "consume_user_resource_percent"),
        _text(7, "name"),
        _number(8, "origin_energy_limit"),
        _octets(9, "code_hash"),
        _octets(10, "trx_hash"),
        _number(11, "version"),
    ),
)

_OWNER = _address(1, "owner_address")
_CONTRACTS = (
    Schema(
        "AccountCreateContract",
        (_OWNER, _address(2, "account_address"), _choice(3, "type", {0: "Normal"})),
    ),
    Schema("TransferContract", (_OWNER, _address(2, "to_address"), _number(3, "amount"))),
    Schema(
        "CreateSmartContract",
        (
            _OWNER,
            _part(2, "new_contract", SMART_CONTRACT),
            _number(3, "call_token_value"),
            _number(4, "token_id"),
        ),
    ),
    Schema(
        "TriggerSmartContract",
        (
            _OWNER,
            _address(2, "contract_address"),
            _number(3, "call_value"),
            _octets(4, "data"),
            _number(5, "call_token_value"),
            _number(6, "token_id"),
        ),
    ),
    Schema(
        "AccountPermissionUpdateContract",
        (
            _OWNER,
            _part(2, "owner", PERMISSION),
            _part(3, "witness", PERMISSION),
            _parts(4, "actives", PERMISSION),
        ),
    ),
    Schema(
        "FreezeBalanceV2Contract",
        (_OWNER, _number(2, "frozen_balance"), _choice(3, "resource", RESOURCES)),
    ),
    Schema(
        "UnfreezeBalanceV2Contract",
        (_OWNER, _number(2, "unfreeze_balance"), _choice(3, "resource", RESOURCES)),
    ),
    Schema("WithdrawExpireUnfreezeContract", (_OWNER,)),
    Schema(
        "DelegateResourceContract",
        (
            _OWNER,
            _choice(2, "resource", RESOURCES),
            _number(3, "balance"),
            _address(4, "receiver_address"),
            _truth(5, "lock"),
            _number(6, "lock_period"),
        ),
    ),
    Schema(
        "UnDelegateResourceContract",
        (
            _OWNER,
            _choice(2, "resource", RESOURCES),
            _number(3, "balance"),
            _address(4, "receiver_address"),
        ),
    ),
)
CONTRACTS: Mapping[str, Schema] = MappingProxyType({one.name: one for one in _CONTRACTS})

_ANY = Schema("Any", (_text(1, "type_url"), _octets(2, "value")))
CONTRACT = Schema(
    "Contract",
    (
        _choice(1, "type", CONTRACT_TYPES),
        _part(2, "parameter", _ANY),
        _octets(3, "provider"),
        _octets(4, "ContractName"),
        _number(5, "Permission_id"),
    ),
)
RAW = Schema(
    "raw",
    (
        _octets(1, "ref_block_bytes"),
        _number(3, "ref_block_num"),
        _octets(4, "ref_block_hash"),
        _number(8, "expiration"),
        _octets(10, "data"),
        _parts(11, "contract", CONTRACT),
        _octets(12, "scripts"),
        _number(14, "timestamp"),
        _number(18, "fee_limit"),
    ),
)
_RESULT = Schema("Result", (_number(1, "fee"), _number(2, "ret"), _number(3, "contractRet")))
TRANSACTION = Schema(
    "Transaction",
    (
        _part(1, "raw_data", RAW),
        Field(2, "signature", Kind.OCTETS, repeated=True),
        _parts(5, "ret", _RESULT),
    ),
)
BLOCK_HEADER_RAW = Schema(
    "BlockHeader.raw",
    (
        _number(1, "timestamp"),
        _octets(2, "txTrieRoot"),
        _octets(3, "parentHash"),
        _number(7, "number"),
        _number(8, "witness_id"),
        _address(9, "witness_address"),
        _number(10, "version"),
    ),
)
