"""The Tron engine as tronweb sees it, and the accounts of its tests."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.tron_node import TronNode
from infra.setup.tools import TOOLS, tool

TRX = 1_000_000
_JUDGE = Path(__file__).parent / "tron" / "judge.mjs"
TRANSFERS_ONLY = "02" + 31 * "00"


class Unwilling(Exception):
    """tronweb itself threw."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """An account: Base58Check address and private key in hex."""

    address: str
    key: str


class Judge:
    """A process of tronweb 6; every call names the object and method of tronweb that is used."""

    def __init__(self, node: TronNode, process: "subprocess.Popen[str]") -> None:
        self.node = node
        self._process = process

    def ask(self, target: str, method: str, *args: object, key: str | None = None) -> Any:
        """The value of one call. Raises Unwilling."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        question = {
            "url": self.node.http_url,
            "target": target,
            "method": method,
            "args": list(args),
            "key": key or self.node.faucet_private_key,
        }
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise Unwilling(answer["error"])
        return answer["value"]

    @property
    def faucet(self) -> Keyed:
        return Keyed(self.node.faucet_address, self.node.faucet_private_key)

    def fresh(self) -> Keyed:
        """An account that exists nowhere yet."""
        made = self.ask("account", "createAccount")
        address = self.ask("address", "fromPrivateKey", made["privateKey"])
        return Keyed(address, made["privateKey"])

    def send(self, transaction: Any, *keys: str, permission: int = 0) -> dict[str, Any]:
        """Sign with every key and broadcast; tronweb's answer."""
        signed = transaction
        for key in keys:
            if len(keys) > 1 or permission:
                signed = self.ask("trx", "multiSign", signed, key, permission, key=key)
            else:
                signed = self.ask("trx", "sign", signed, key, key=key)
        answer: dict[str, Any] = self.ask("trx", "sendRawTransaction", signed)
        return answer

    def pay(self, source: Keyed, to: str, amount: int, **options: object) -> dict[str, Any]:
        """Transfer TRX with one signature."""
        built = self.ask("builder", "sendTrx", to, amount, source.address, options)
        return self.send(built, source.key)

    def funded(self, amount: int = 1_000 * TRX) -> Keyed:
        """A new account with TRX, in a block."""
        account = self.fresh()
        answer = self.pay(self.faucet, account.address, amount)
        assert answer.get("result") is True, refusal(answer)
        self.node.mine()
        return account

    def info(self, txid: str) -> dict[str, Any]:
        """What the node says about a transaction in a block."""
        answer: dict[str, Any] = self.ask("trx", "getUnconfirmedTransactionInfo", txid)
        return answer

    def balance(self, address: str) -> int:
        """Sun at the head."""
        return int(self.ask("trx", "getUnconfirmedBalance", address))


def refusal(answer: dict[str, Any]) -> str:
    """The words of a refused broadcast: its code and the decoded message."""
    message = bytes.fromhex(str(answer.get("message", ""))).decode()
    return f"{answer.get('code')}: {message}"


@contextmanager
def judging(node: TronNode) -> Iterator[Judge]:
    """A tronweb that talks to `node`."""
    words = [str(tool("node")), str(_JUDGE), str(TOOLS / "npm" / "node_modules" / "tronweb")]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Judge(node, process)
        finally:
            process.terminate()


def group_permissions(
    owners: list[Keyed], threshold: int, operations: str = TRANSFERS_ONLY
) -> tuple[dict[str, object], dict[str, object]]:
    """Owner and active permission of the same keys, weight 1 each."""
    keys = [{"address": one.address, "weight": 1} for one in owners]
    owner: dict[str, object] = {
        "type": 0,
        "permission_name": "owner",
        "threshold": threshold,
        "keys": keys,
    }
    active: dict[str, object] = {
        "type": 2,
        "permission_name": "payouts",
        "threshold": threshold,
        "operations": operations,
        "keys": keys,
    }
    return owner, active
