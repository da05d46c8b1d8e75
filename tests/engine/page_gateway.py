"""A gateway in front of the product's own handlers, for real browsers and clients."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

# Method, path with its query, headers, body: to a proxy response.
Answers = Callable[[str, str, Mapping[str, str], str | None], Any]


@contextmanager
def gateway(answers: Answers) -> Iterator[str]:
    """Its base URL. One request at a time, as one function's process has."""
    turn = Lock()

    class Gateway(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _answer(self, body: str | None) -> None:
            headers = dict(self.headers.items())
            with turn:
                found = answers(self.command, self.path, headers, body)
            content = found["body"].encode()
            self.send_response(found["statusCode"])
            for name, value in found["headers"].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
