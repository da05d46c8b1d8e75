"""The Tron node: a stand-in that speaks java-tron's HTTP API (docs/engines/tron.md).

No real node can be had here. Blocks come on request (POST /admin/mine) until an interval is set.
"""

import json
import secrets
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.error import URLError

from coincurve import PrivateKey

from infra.local.engine import Command, Engine, NotReady, tool_path
from infra.local.tron import addresses

_ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT_S = 30.0


class TronNode(Engine):
    """The node and its faucet, the one account that is rich from the first block on."""

    name: ClassVar[str] = "tron"
    ports: ClassVar[tuple[str, ...]] = ("tron", "tron-evm")

    @property
    def http_url(self) -> str:
        """Base of /wallet/*."""
        return f"http://{self.host}:{self.port}"

    @property
    def solidity_url(self) -> str:
        """Base of /walletsolidity/*; the same server."""
        return self.http_url

    @property
    def faucet_private_key(self) -> str:
        """64 hex digits, as tronweb takes them."""
        return self._layout.remember("tron/faucet-key", lambda: secrets.token_hex(32))

    @property
    def faucet_address(self) -> str:
        """Base58Check."""
        return addresses.shown(self._faucet, visible=True)

    @property
    def _faucet(self) -> bytes:
        key = PrivateKey(bytes.fromhex(self.faucet_private_key))
        return addresses.of_public_key(key.public_key.format(compressed=False))

    def call(
        self, path: str, body: Mapping[str, object] | None = None, *, timeout_s: float = _TIMEOUT_S
    ) -> dict[str, object]:
        """One POST, for example to `/wallet/getnowblock`. Raises OSError."""
        request = urllib.request.Request(  # noqa: S310 - loopback.
            self.http_url + path, json.dumps(dict(body or {})).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310
            answer: dict[str, object] = json.loads(response.read())
        return answer

    def mine(self, count: int = 1) -> int:
        """Make blocks; answers the new height."""
        height = self.call(f"/admin/mine?count={count}")["height"]
        if not isinstance(height, int):
            raise TypeError("a height is a whole number")
        return height

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)

    def command(self) -> Command:
        argv = (
            sys.executable,
            "-m",
            "infra.local.tron",
            "--data",
            str(self.data),
            "--port",
            str(self.port),
            "--evm-port",
            str(self._layout.port(self.ports[1])),
            "--anvil",
            tool_path("anvil"),
            "--faucet",
            self._faucet.hex(),
        )
        paths = f"{_ROOT}:{_ROOT / 'layers' / 'orion' / 'python'}"
        return Command(argv, cwd=self.data, env={"PYTHONPATH": paths, "HOME": str(self.data)})

    def check(self) -> None:
        try:
            found = self.call("/wallet/getnowblock", timeout_s=1)
        except (URLError, OSError, ValueError) as exc:
            raise NotReady(str(exc)) from exc
        if "blockID" not in found:
            raise NotReady("another server answers on its port")
