"""The stand-in for the exchanges as a process of the stack: `infra.local.ticker_server`."""

import http.client
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from infra.local.engine import Command, Engine, NotReady

_ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT_S = 5.0
_PROVIDERS = ("binance", "kraken", "coinbase")


class Ticker(Engine):
    """The tickers of three exchanges. `fault` and `prices` stay until `clear`."""

    name: ClassVar[str] = "ticker"
    ports: ClassVar[tuple[str, ...]] = ("ticker",)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def base_urls(self) -> Mapping[str, str]:
        """As SSM `rates/providers` wants them."""
        return {provider: f"{self.url}/{provider}" for provider in _PROVIDERS}

    def fault(self, provider: str, kind: str, symbol: str | None = None) -> None:
        """Make one provider wrong (`ticker_server.Fault`), one of its symbols where that fits."""
        body = {"provider": provider, "kind": kind}
        self._call("POST", "/faults", body if symbol is None else {**body, "symbol": symbol})

    def prices(self, **dollars: str) -> None:
        """Set what one of each is worth in dollars: `prices(BTC="70000.00")`."""
        self._call("POST", "/prices", dollars)

    def clear(self) -> None:
        """No faults, the first prices, nothing asked."""
        self._call("DELETE", "/faults")

    def asked(self) -> list[str]:
        """Paths that were asked for since `clear`, the last thousand."""
        found: list[str] = self._call("GET", "/asked")
        return found

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)

    def command(self) -> Command:
        argv = (sys.executable, "-m", "infra.local.ticker_server", "--port", str(self.port))
        paths = os.pathsep.join((str(_ROOT / "layers" / "orion" / "python"), str(_ROOT)))
        return Command(argv, cwd=_ROOT, env={"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"})

    def check(self) -> None:
        try:
            found = self._call("GET", "/asked")
        except (OSError, ValueError, http.client.HTTPException) as exc:
            raise NotReady(str(exc)) from exc
        if not isinstance(found, list):
            raise NotReady("another server answers on its port")

    def _call(self, method: str, path: str, body: object = None) -> list[str]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            content: list[str] = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise ValueError(f"the ticker server refused: {content}")
        return content
