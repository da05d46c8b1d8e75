"""The stand-in for a Solana node: infra.local.solana as a process of the stack.

See docs/engines/solana.md for what it models.
"""

import os
import sys
from pathlib import Path
from typing import ClassVar

from infra.local.engine import Command, Engine, NotReady
from infra.local.json_rpc import JsonRpc, RpcRefused

_ROOT = Path(__file__).resolve().parents[2]


class Solana(Engine):
    """The node. Its slots close every 400 ms; `local_clock` changes that for good."""

    name: ClassVar[str] = "solana"
    ports: ClassVar[tuple[str, ...]] = ("solana",)
    slot_ms: ClassVar[int] = 400

    @property
    def http_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    @property
    def rpc(self) -> JsonRpc:
        """For `local_advance`, `local_skip`, `local_fork`, `local_clock` and `local_status`."""
        return JsonRpc(self.host, self.port)

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)

    def command(self) -> Command:
        argv = (
            sys.executable,
            "-m",
            "infra.local.solana",
            "--data",
            str(self.data),
            "--port",
            str(self.port),
            "--slot-ms",
            str(self.slot_ms),
        )
        paths = os.pathsep.join((str(_ROOT / "layers" / "orion" / "python"), str(_ROOT)))
        return Command(argv, cwd=_ROOT, env={"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"})

    def check(self) -> None:
        try:
            found = self.rpc.call("local_status", timeout_s=1)
        except (OSError, RpcRefused) as exc:
            raise NotReady(str(exc)) from exc
        if not isinstance(found, dict) or "faucet" not in found:
            raise NotReady("another server answers on its port")
