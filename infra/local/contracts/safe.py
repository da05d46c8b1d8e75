"""Safe 1.4.1 on the local Ethereum chain: its published code at the addresses it has everywhere.

The published creation code (npm @safe-global/safe-contracts, in the lock) goes through the Safe
Singleton Factory with salt 0, as on every public network. That factory comes from a transaction
signed in advance for chain id 31337: npm @safe-global/safe-singleton-factory 2.0.0,
artifacts/31337/deployment.json.
"""

import json
import time

from infra.local.anvil import Anvil
from infra.local.failure import StackFailure
from infra.local.json_rpc import text
from infra.setup.tools import TOOLS
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.safe_contracts import safe_contracts

ARTIFACTS = TOOLS / "npm/node_modules/@safe-global/safe-contracts/build/artifacts/contracts"

_SINGLETON_FACTORY = "0x914d7fec6aac8cd542e72bca78b30650d45643d7"
_FACTORY_SIGNER = "0xe1cb04a0fa36ddd16a06ea828007e35e1a3cbc37"
_FACTORY_TRANSACTION = (
    "0xf8a78085174876e800830186a08080b853604580600e600039806000f350fe7ffffffffffffffffffffffffff"
    "fffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b80"
    "82525050506014600cf382f4f5a00dc4d1d21b308094a30f5f93da35e4d72e99115378f135f2295bea47301a316"
    "5a0636b822daad40aa8c52dd5132f378c0c0e6d83b4898228c7e21c84e631a0b891"
)
_RECEIPT_TIMEOUT_S = 10.0
_RECEIPT_POLL_S = 0.01


def artifact(source: str) -> dict[str, object]:
    """One published artifact: `abi`, `bytecode` and `deployedBytecode` ("0x…")."""
    content: dict[str, object] = json.loads((ARTIFACTS / source).read_text())
    return content


def deploy_safe(node: Anvil) -> None:
    """Put the four contracts where they belong; no-op for those that are there. Raises StackFailure
    when one is not what `safe.toml` pins.
    """
    if _code(node, _SINGLETON_FACTORY) == b"":
        node.rpc.call("anvil_setBalance", _FACTORY_SIGNER, hex(10**18))
        _await(node, text(node.rpc.call("eth_sendRawTransaction", _FACTORY_TRANSACTION)))
    contracts = safe_contracts()
    handler = "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json"
    sources = {
        contracts.singleton: "SafeL2.sol/SafeL2.json",
        contracts.factory: "proxies/SafeProxyFactory.sol/SafeProxyFactory.json",
        contracts.fallback_handler: handler,
        contracts.multi_send: "libraries/MultiSendCallOnly.sol/MultiSendCallOnly.json",
    }
    for address, source in sources.items():
        if _code(node, address) == b"":
            _deploy(node, text(artifact(source)["bytecode"]))
    for address, code_hash in contracts.code_hashes.items():
        if keccak256(_code(node, address)) != code_hash:
            raise StackFailure(
                f"{address} has other code than Safe 1.4.1; to mend: run make setup, read safe.toml"
            )


def _deploy(node: Anvil, creation_code: str) -> None:
    """Through the factory: 32 bytes of salt, then the creation code."""
    data = "0x" + bytes(32).hex() + creation_code.removeprefix("0x")
    transaction = {"from": node.faucet_address, "to": _SINGLETON_FACTORY, "data": data}
    _await(node, text(node.rpc.call("eth_sendTransaction", {**transaction, "gas": hex(8_000_000)})))


def _code(node: Anvil, address: str) -> bytes:
    return bytes.fromhex(text(node.rpc.call("eth_getCode", address, "latest"))[2:])


def _await(node: Anvil, transaction_hash: str) -> None:
    deadline = time.monotonic() + _RECEIPT_TIMEOUT_S
    while node.rpc.call("eth_getTransactionReceipt", transaction_hash) is None:
        if time.monotonic() > deadline:
            raise StackFailure("a Safe contract was not mined; to mend: read anvil's log")
        time.sleep(_RECEIPT_POLL_S)
