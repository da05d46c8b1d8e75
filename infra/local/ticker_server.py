"""The exchanges on one machine: their public tickers on loopback, with faults on request.

    python -m infra.local.ticker_server --port N

`/binance/…`, `/kraken/…` and `/coinbase/…` answer as each does. `POST /faults` `{"provider",
"kind", "symbol"?}` makes one wrong until `DELETE /faults`; `POST /prices` `{"BTC": "69600.00"}`
sets dollars; `GET /asked` lists the questions since the last `DELETE /asked`.
"""

import argparse
import json
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

from infra.local import ticker_books as books
from infra.local.bounded_server import BoundedServer
from infra.local.layout import LOOPBACK

READY = "tickers served"
HANG_S = 30.0
_DRIP_S = 0.2
_STALE_S = 600
_HALTED = timedelta(hours=2)
_BODY_MAX_BYTES = 4096
_ASKED_MAX = 1000
_CONNECTIONS_MAX = 64
_DOLLARS = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?", re.ASCII)


class Fault(StrEnum):
    """What may be wrong with a provider; MISSING, OUTLIER and EMPTY of one symbol where named."""

    ERROR = "error"
    HANG = "hang"
    DRIP = "drip"
    RESET = "reset"
    STALE = "stale"
    UNDATED = "undated"
    AHEAD = "ahead"
    OUTLIER = "outlier"
    EMPTY = "empty"
    GARBAGE = "garbage"
    MISSING = "missing"
    REDIRECT = "redirect"
    LARGE = "large"
    LIMITED = "limited"
    HALTED = "halted"


class Exchanges:
    """What is quoted, and what is wrong."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.dollars_e6 = dict(books.DOLLARS_E6)
        self.faults: dict[str, tuple[Fault, str | None]] = {}
        self.asked: deque[str] = deque(maxlen=_ASKED_MAX)

    def fault(self, provider: str) -> Fault | None:
        found = self.faults.get(provider)
        return None if found is None else found[0]

    def quotes(self, provider: str) -> Mapping[str, books.Quote | None]:
        """The books by the provider's names; None for a pair that it does not list any more."""
        fault, symbol = self.faults.get(provider, (None, None))
        found: dict[str, books.Quote | None] = {}
        for name, pair in books.LISTED[provider].items():
            hit = symbol in (None, name)
            times = 2 if hit and fault is Fault.OUTLIER else 1
            found[name] = books.quote(provider, pair, self.dollars_e6, times)
            if hit and fault is Fault.EMPTY:
                found[name] = books.Quote(0, 0)
            if hit and fault is Fault.MISSING:
                found[name] = None
        return found

    def answer(self, provider: str, path: str, query: str) -> books.Body:
        """What a provider says to a question in its own form."""
        quotes = self.quotes(provider)
        asked = parse_qs(query)
        if provider == "binance" and path == "/api/v3/ticker/bookTicker":
            symbols = json.loads(asked.get("symbols", ["[]"])[0])
            return books.binance(quotes, [str(symbol) for symbol in symbols])
        if provider == "kraken" and path == "/0/public/Ticker":
            return books.kraken(quotes, asked.get("pair", [""])[0].split(","))
        product = re.fullmatch(r"/products/([A-Z0-9-]{3,20})/ticker", path)
        if provider == "coinbase" and product is not None:
            halted = self.fault(provider) is Fault.HALTED
            traded_at = datetime.now(UTC) - (_HALTED if halted else timedelta(seconds=3))
            return books.coinbase(quotes, product.group(1), traded_at)
        return books.Body(404, {"message": "NotFound"})


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: "Server"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        _, provider, rest, *_ = [*parts.path.split("/", 2), "", ""]
        exchanges = self.server.exchanges
        if parts.path == "/asked":
            self._send(200, list(exchanges.asked))
            return
        exchanges.asked.append(self.path)
        if provider not in books.LISTED:
            self._send(404, {"message": "NotFound"})
            return
        with exchanges.lock:
            body = exchanges.answer(provider, "/" + unquote(rest), parts.query)
            fault = exchanges.fault(provider)
        self._answer(body, fault)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _BODY_MAX_BYTES:
            self.close_connection = True
            self._send(413, {"message": "too large"})
            return
        try:
            self._change(json.loads(self.rfile.read(int(length))))
        except (ValueError, KeyError, TypeError) as exc:
            self._send(400, {"message": str(exc)})
        else:
            self._send(200, {})

    def do_DELETE(self) -> None:
        with self.server.exchanges.lock:
            if self.path == "/faults":
                self.server.exchanges.faults.clear()
                self.server.exchanges.dollars_e6 = dict(books.DOLLARS_E6)
            self.server.exchanges.asked.clear()
        self._send(200, {})

    def _change(self, body: Mapping[str, str]) -> None:
        exchanges = self.server.exchanges
        with exchanges.lock:
            if self.path == "/faults":
                if body["provider"] not in books.LISTED:
                    raise ValueError("no such provider")
                exchanges.faults[body["provider"]] = (Fault(body["kind"]), body.get("symbol"))
            elif self.path == "/prices":
                exchanges.dollars_e6.update(
                    {name: _dollars_e6(text) for name, text in body.items()}
                )
            else:
                raise ValueError("no such path")

    def _answer(self, body: books.Body, fault: Fault | None) -> None:
        match fault:
            case Fault.HANG:
                time.sleep(HANG_S)
                self.close_connection = True
            case Fault.RESET:
                self.close_connection = True
            case Fault.DRIP:
                self._drip(body)
            case Fault.ERROR:
                self._send(500, b"<html>Internal Server Error</html>", kind="text/html")
            case Fault.LIMITED:
                self._send(429, {"code": -1003, "msg": "Too many requests."})
            case Fault.GARBAGE:
                self._send(200, b'{"result": {"XXBTZEUR": [1, 2', kind="application/json")
            case Fault.LARGE:
                self._send(200, b'["' + b"x" * 200_000 + b'"]', kind="application/json")
            case Fault.REDIRECT:
                elsewhere = f"http://{LOOPBACK}:{self.server.server_port}/elsewhere"
                self._send(302, {}, location=elsewhere)
            case Fault.STALE:
                self._send(body.status, body.content, at=time.time() - _STALE_S)
            case Fault.AHEAD:
                self._send(body.status, body.content, at=time.time() + _STALE_S)
            case Fault.UNDATED:
                self._send(body.status, body.content, at=None)
            case _:
                self._send(body.status, body.content)

    def _send(
        self,
        status: int,
        content: object,
        *,
        at: float | None = -1.0,
        kind: str = "application/json",
        location: str | None = None,
    ) -> None:
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response_only(status)
        if at is not None:
            self.send_header("Date", self.date_time_string(None if at < 0 else at))
        if location is not None:
            self.send_header("Location", location)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def _drip(self, body: books.Body) -> None:
        """Byte by byte: always something, never done."""
        sent = json.dumps(body.content).encode()
        self.send_response(body.status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.close_connection = True
        for byte in sent[: int(HANG_S / _DRIP_S)]:
            self.wfile.write(bytes((byte,)))
            self.wfile.flush()
            time.sleep(_DRIP_S)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name.
        """Silent: GET /asked tells."""


class Server(BoundedServer):
    """The exchanges on one port."""

    def __init__(self, port: int) -> None:
        super().__init__(port, Handler, connections_max=_CONNECTIONS_MAX)
        self.exchanges = Exchanges()


def _dollars_e6(text: str) -> int:
    match = _DOLLARS.fullmatch(text)
    if match is None:
        raise ValueError("dollars are plain decimals")
    return int(match.group(1) + cast(str, match.group(2) or "").ljust(6, "0"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    with Server(parser.parse_args().port) as server:
        print(READY, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
