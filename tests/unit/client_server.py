"""A real HTTP server for the client's tests: it answers as told and remembers requests."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def members(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self.body or b"{}")
        return found


@dataclass(frozen=True, slots=True)
class Told:
    """What to answer; `status` 0 hangs up without a word."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Server:
    """Answers with `told` in their order, the last one for ever."""

    url: str = ""
    told: list[Told] = field(default_factory=lambda: [Told()])
    seen: list[Seen] = field(default_factory=list)

    def tell(self, *told: Told) -> None:
        self.told = list(told)

    def next_answer(self) -> Told:
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]


@contextmanager
def serving() -> Iterator[Server]:
    """One server on loopback for the time of the block."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            where = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = parse_qs(where.query, keep_blank_values=True)
            body = self.rfile.read(length)
            server.seen.append(Seen(self.command, where.path, query, headers, body))
            told = server.next_answer()
            if told.status == 0:
                self.close_connection = True
                return
            raw = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    server.url = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
