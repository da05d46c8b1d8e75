"""What the local HTTP servers have in common: loopback, and a bounded number of connections."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from infra.local.layout import LOOPBACK


class BoundedServer(ThreadingHTTPServer):
    """A thread a connection, at most `connections_max`; those beyond are answered 503 and closed at
    once.
    """

    daemon_threads = True
    _busy: ClassVar[bytes] = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def __init__(
        self, port: int, handler: type[BaseHTTPRequestHandler], *, connections_max: int
    ) -> None:
        super().__init__((LOOPBACK, port), handler)
        self._free = threading.Semaphore(connections_max)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            request.sendall(self._busy)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no failure; anything else is told in the log."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)
