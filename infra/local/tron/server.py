"""The HTTP server: loopback, a bounded number of connections and bytes, Nagle's algorithm off."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from infra.local.bounded_server import BoundedServer
from infra.local.tron import administration, building, reading
from infra.local.tron.chain import Chain
from infra.local.tron.evm import EvmFailed
from infra.local.tron.reading import Endpoint
from infra.local.tron.requests import read_request
from infra.local.tron.wire import MalformedMessage

_BODY_BYTES_MAX = 4 * 1024 * 1024
_CONNECTIONS_MAX = 256
_IDLE_S = 60
_MALFORMED_EXCEPTION = "class org.tron.json.JSONException : "


class NoSuchPath(Exception):
    """No endpoint there, or not by that method."""


def endpoint(method: str, path: str) -> tuple[Endpoint, bool]:
    """What answers a path, and whether it speaks of the solidified state. Raises NoSuchPath."""
    _, _, rest = path.partition("/")
    room, _, name = rest.strip("/").partition("/")
    found: Endpoint | None = None
    if room == "wallet":
        for table in (reading.BOTH, reading.FULL, building.BOTH, building.FULL):
            found = found or table.get(name)
    elif room == "walletsolidity":
        found = reading.BOTH.get(name) or building.BOTH.get(name)
    elif room == "admin":
        found = administration.READING.get(name)
        if method == "POST":
            found = found or administration.CHANGING.get(name)
    if found is None:
        raise NoSuchPath(path)
    return found, room == "walletsolidity"


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open between requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_S
    wbufsize = -1
    server: "Server"

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _BODY_BYTES_MAX:
            self.close_connection = True
            self._send(413, {"Error": "the body is too large or of unknown length"})
            return
        self._serve(self.rfile.read(int(length)))

    def _serve(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        try:
            answers, solid = endpoint(self.command, path)
            request = read_request(query, body, solid=solid)
            with self.server.chain.lock:
                answer = answers(self.server.chain, request)
        except NoSuchPath:
            self._send(404, {"Error": "no such path"})
        except MalformedMessage as exc:
            status = 400 if path.startswith("/admin/") else 200
            self._send(status, building.error(str(exc), _MALFORMED_EXCEPTION))
        except EvmFailed as exc:
            self._send(500, {"Error": f"the EVM failed: {exc}"})
            self.server.fail(f"the EVM failed: {exc}")
        else:
            self._send(200, answer)

    def _send(self, status: int, answer: object) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name.
        """Silent: requests are many, failures say so themselves."""


class Server(BoundedServer):
    """The node on one port; `fail` is told what it cannot mend."""

    request_queue_size = 128

    def __init__(self, port: int, chain: Chain, fail: Callable[[str], None]) -> None:
        super().__init__(port, Handler, connections_max=_CONNECTIONS_MAX)
        self.chain = chain
        self.fail = fail
