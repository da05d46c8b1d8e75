"""The ground of the local HTTP servers: a connection too many is refused, and its place is new when
another ends.
"""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from infra.local.bounded_server import BoundedServer

HELD = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Answers a first line when it may."""

    timeout = 10

    def do_GET(self) -> None:
        if self.path == "/gone":
            raise ConnectionResetError
        if self.path == "/fault":
            raise RuntimeError("a mistake of the handler")
        HELD.wait(10)
        self.send_response_only(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name.
        """Silent."""


@pytest.fixture
def server() -> Iterator[BoundedServer]:
    HELD.clear()
    with BoundedServer(0, Handler, connections_max=2) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        HELD.set()
        made.shutdown()
        thread.join()


def asked(server: BoundedServer, path: str = "/") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.server_port), timeout=10)
    connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    return connection


def answer(connection: socket.socket) -> bytes:
    with connection:
        found = b""
        while part := connection.recv(4096):
            found += part
        return found


def test_a_connection_too_many_is_refused_at_once_and_its_place_is_new_when_one_ends(
    server: BoundedServer,
) -> None:
    assert server.server_address[0] == "127.0.0.1"
    first, second = asked(server), asked(server)
    assert answer(asked(server)).startswith(b"HTTP/1.1 503 Busy\r\n")
    HELD.set()
    for held in (first, second):
        assert b" 204 " in answer(held)
    # Its thread ends after its last byte: a place is free within a few tries.
    again = (answer(asked(server)) for _ in range(500))
    assert any(found.startswith(b"HTTP/1.0 204") for found in again)


def test_a_client_that_goes_away_is_no_failure_and_a_mistake_is_told(
    server: BoundedServer, capfd: pytest.CaptureFixture[str]
) -> None:
    answer(asked(server, "/gone"))
    assert "Traceback" not in capfd.readouterr().err
    answer(asked(server, "/fault"))
    assert "a mistake of the handler" in capfd.readouterr().err
