"""The cache over real memcached, over servers that are dead, silent or forgetful."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Self

import pytest

from infra.local.memcached import Memcached
from orion.adapters.memcached.cache import (
    EXPIRES_IN_S_MAX,
    REST_S,
    VALUE_MAX_BYTES,
    Cache,
    Server,
)

pytestmark = pytest.mark.engine


class Scene:
    """A cache with a clock of its own and a list of its failures."""

    def __init__(self, *servers: Server) -> None:
        self.now = 0.0
        self.failures: list[str] = []
        self.cache = Cache(servers, f"t{time.time_ns()}:", self.failures.append, lambda: self.now)


@pytest.fixture
def real(memcached_server: Memcached) -> Scene:
    return Scene((memcached_server.host, memcached_server.port))


@pytest.fixture
def silent() -> Iterator[Server]:
    """A server that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield "127.0.0.1", listener.getsockname()[1]


def closed_port() -> Server:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return "127.0.0.1", listener.getsockname()[1]


def test_what_was_put_is_there_until_it_is_deleted(real: Scene) -> None:
    assert real.cache.get("a") is None
    assert real.cache.put("a", b"\x00one\r\nEND\r\n", 60)
    assert real.cache.get("a") == b"\x00one\r\nEND\r\n"
    assert real.cache.put("a", b"two", 60)
    assert real.cache.get_many(["a", "b"]) == {"a": b"two"}
    assert real.cache.delete("a")
    assert real.cache.delete("a")
    assert real.cache.get("a") is None
    assert real.failures == []


def test_add_stores_only_where_nothing_is(real: Scene) -> None:
    assert real.cache.add("k", b"first", 60)
    assert not real.cache.add("k", b"second", 60)
    assert real.cache.get("k") == b"first"


def test_a_counter_begins_at_its_first_count_and_counts_every_thread(real: Scene) -> None:
    assert real.cache.count("n", 60, by=5) == 5
    seen: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: seen.append(real.cache.count("n", 60))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(n or 0 for n in seen) == list(range(6, 14))


def test_any_text_is_a_key_and_two_texts_are_two_keys(real: Scene) -> None:
    keys = ["with blank", "line\r\nflush_all", "キー", "x" * 300, "x" * 301, "", "\ud800"]
    for number, key in enumerate(keys):
        assert real.cache.put(key, str(number).encode(), 60)
    assert real.cache.get_many(keys) == {key: str(n).encode() for n, key in enumerate(keys)}


def test_stages_do_not_see_each_others_values(memcached_server: Memcached) -> None:
    server = (memcached_server.host, memcached_server.port)
    one, other = Scene(server), Scene(server)
    assert one.cache.put("k", b"1", 60)
    assert other.cache.get("k") is None


def test_a_value_that_memcached_refuses_is_a_counted_miss_and_the_server_goes_on(
    real: Scene,
) -> None:
    assert real.cache.put("word", b"abc", 60)
    assert real.cache.count("word", 60) is None
    assert not real.cache.put("large", b"x" * (VALUE_MAX_BYTES + 1), 60)
    assert real.failures == ["refused", "refused"]
    assert real.cache.failures == 2
    assert real.cache.get("word") == b"abc"


def test_a_dead_server_is_asked_once_and_then_left_alone_for_a_while() -> None:
    scene = Scene(closed_port())
    assert scene.cache.get("k") is None
    assert not scene.cache.put("k", b"v", 60)
    assert not scene.cache.add("k", b"v", 60)
    assert scene.cache.count("k", 60) is None
    assert not scene.cache.delete("k")
    assert scene.failures == ["unreachable"]
    scene.now = REST_S - 0.001
    assert scene.cache.get("k") is None
    assert scene.failures == ["unreachable"]
    scene.now = REST_S
    assert scene.cache.get("k") is None
    assert scene.failures == ["unreachable"] * 2


def test_a_server_that_came_back_is_used_again(memcached_server: Memcached) -> None:
    port = closed_port()
    scene = Scene(port)
    assert scene.cache.get("k") is None
    target = (memcached_server.host, memcached_server.port)
    with Relay(port, target):
        assert not scene.cache.put("k", b"v", 60)
        scene.now = REST_S
        assert scene.cache.put("k", b"v", 60)
        assert scene.cache.get("k") == b"v"
    assert scene.failures == ["unreachable"]


def test_a_connection_that_was_closed_meanwhile_is_opened_again_without_a_failure(
    memcached_server: Memcached,
) -> None:
    with Relay(closed_port(), (memcached_server.host, memcached_server.port)) as relay:
        scene = Scene(relay.listening)
        for command in range(4):
            assert scene.cache.put("k", b"1", 60)
            relay.drop()
            if command == 0:
                assert scene.cache.get("k") == b"1"
            elif command == 1:
                assert scene.cache.count("k", 60) == 2
            elif command == 2:
                assert scene.cache.add("other", b"v", 60)
            else:
                assert scene.cache.delete("k")
    assert scene.failures == []


def test_a_silent_server_costs_one_time_out(silent: Server) -> None:
    scene = Scene(silent)
    for _ in range(100):
        assert scene.cache.get("k") is None
    assert scene.failures == ["unreachable"]


def test_one_dead_server_of_two_takes_only_its_own_keys_away(memcached_server: Memcached) -> None:
    scene = Scene((memcached_server.host, memcached_server.port), closed_port())
    keys = [f"key-{n}" for n in range(64)]
    stored = [key for key in keys if scene.cache.put(key, b"v", 60)]
    assert 0 < len(stored) < len(keys)
    assert scene.cache.get_many(keys) == dict.fromkeys(stored, b"v")
    assert scene.failures == ["unreachable"]


def test_without_servers_everything_is_missing() -> None:
    scene = Scene()
    assert scene.cache.get("k") is None
    assert not scene.cache.put("k", b"v", 60)
    assert scene.cache.count("k", 60) is None
    assert not scene.cache.delete("k")
    assert scene.failures == []


def test_a_value_without_a_bounded_life_is_the_programmers_mistake(real: Scene) -> None:
    for expires_s in (0, -1, EXPIRES_IN_S_MAX + 1):
        with pytest.raises(ValueError, match="kept"):
            real.cache.put("k", b"v", expires_s)
        with pytest.raises(ValueError, match="kept"):
            real.cache.count("k", expires_s)
    with pytest.raises(ValueError, match="counts up"):
        real.cache.count("k", 60, by=0)


class Relay:
    """Passes bytes to the real server, and drops its connections when told."""

    def __init__(self, listening: Server, target: Server) -> None:
        self.listening = listening
        self._target = target
        self._listener = socket.create_server(listening)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        while self._open:
            end = self._open.pop()
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pass, args=(source, sink), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
    except OSError:
        return
