"""The published contracts that custody accounts are made of: `safe.toml`, and their functions."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orion.chains.ethereum.abi import Function

_DATA = Path(__file__).with_name("safe.toml")

SETUP = Function(
    "setup",
    ("address[]", "uint256", "address", "bytes", "address", "address", "uint256", "address"),
)
CREATE_PROXY = Function("createProxyWithNonce", ("address", "bytes", "uint256"))
EXECUTE = Function(
    "execTransaction",
    (
        "address",
        "uint256",
        "bytes",
        "uint8",
        "uint256",
        "uint256",
        "uint256",
        "address",
        "address",
        "bytes",
    ),
)
MULTI_SEND = Function("multiSend", ("bytes",))
SWAP_OWNER = Function("swapOwner", ("address", "address", "address"))
GET_OWNERS = Function("getOwners", ())
GET_MODULES = Function("getModulesPaginated", ("address", "uint256"))
TRANSFER = Function("transfer", ("address", "uint256"))

# The head of a Safe's linked lists of owners and of modules.
SENTINEL = bytes(19) + b"\x01"


@dataclass(frozen=True, slots=True)
class SafeContracts:
    """Addresses in the form of records, hashes as 32 bytes; the same on every network."""

    singleton: str
    factory: str
    fallback_handler: str
    multi_send: str
    proxy_init_code_hash: bytes
    proxy_code_hash: bytes
    code_hashes: Mapping[str, bytes]


@cache
def safe_contracts() -> SafeContracts:
    """What `safe.toml` says. `code_hashes` are by address."""
    rows = tomllib.loads(_DATA.read_text(encoding="utf-8"))
    deployed = [rows[name] for name in ("singleton", "factory", "fallback_handler", "multi_send")]
    return SafeContracts(
        singleton=rows["singleton"]["address"],
        factory=rows["factory"]["address"],
        fallback_handler=rows["fallback_handler"]["address"],
        multi_send=rows["multi_send"]["address"],
        proxy_init_code_hash=_hash(rows["proxy"]["init_code_hash"]),
        proxy_code_hash=_hash(rows["proxy"]["code_hash"]),
        code_hashes={row["address"]: _hash(row["code_hash"]) for row in deployed},
    )


def _hash(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
