"""A server whose one connection a test treats as it likes."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def hear(connection: socket.socket) -> None:
    """Read one request whole: what is left unread when a connection closes resets it."""
    with connection.makefile("rb") as request:
        length = 0
        while (line := request.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        request.read(length)


@contextmanager
def raw_receiver(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that treats its one connection as `behave` says."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                behave(connection)
            except OSError:
                return  # The sender went away, as it should.

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(20)
