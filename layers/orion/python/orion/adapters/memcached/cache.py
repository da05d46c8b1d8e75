"""A cache over several memcached servers. Losing it loses no data, only time.

A key lives on one server, chosen by the highest random weight of (server, key): when a server is
added or removed, only its own keys move. Thaler and Ravishankar, "A Name-Based Mapping Scheme for
Rendezvous" (1996). The keys of a server that fails do not move to another one: when it came back,
they would show what was true before. Until then they are missing.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pymemcache.client.base import Client
from pymemcache.exceptions import (
    MemcacheClientError,
    MemcacheError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
)

T = TypeVar("T")

CONNECT_TIMEOUT_S = 0.1
ANSWER_TIMEOUT_S = 0.1
# How long a server that failed is left alone: each of its keys is missing at once meanwhile.
REST_S = 5.0
SERVERS_MAX = 60
KEYS_MAX = 1_000
# memcached reads a longer time as a moment of 1970 and later (its protocol.txt, "Expiration
# times"), and takes no item over 1 MiB unless told so.
EXPIRES_IN_S_MAX = 30 * 86_400
VALUE_MAX_BYTES = 1_000_000
_PLAIN_KEY = re.compile(r"[!-~]{1,200}", re.ASCII)

Server = tuple[str, int]


@dataclass(slots=True)
class _Place:
    """One server: its connection, who may use it now, and until when it is left alone."""

    name: bytes
    client: Client
    alone_until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Cache:
    """Bytes by key. Nothing here raises for what memcached does or does not do: a failure is None,
    False or an absent key, is counted, and takes at most the time to connect and the time to
    answer, 100 ms each; then its server is left alone for REST_S. (A host name that does not
    resolve waits for the resolver.) Safe for several threads.

    Any text may be a key. `expires_s` is 1 to EXPIRES_IN_S_MAX; another one is the programmer's
    mistake, ValueError.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        prefix: str,
        on_failure: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`servers` may be empty: then everything is missing. `prefix` keeps stages apart.
        `on_failure` is told a stable word for each failure: `unreachable`, `refused`.
        """
        if len(servers) > SERVERS_MAX:
            raise ValueError(f"at most {SERVERS_MAX} servers")
        self._places = [_place(server) for server in sorted(set(servers))]
        self._prefix = prefix
        self._on_failure = on_failure
        self._clock = clock
        self.failures = 0

    def get(self, key: str) -> bytes | None:
        """The value; None when it is missing or not known."""
        return self.get_many((key,)).get(key)

    def get_many(self, keys: Iterable[str]) -> Mapping[str, bytes]:
        """The values that are there, at most KEYS_MAX keys, one question to each server."""
        wanted: dict[int, dict[str, str]] = {}
        asked = list(dict.fromkeys(keys))
        if len(asked) > KEYS_MAX:
            raise ValueError(f"at most {KEYS_MAX} keys")
        for key in asked:
            named = self._named(key)
            place = self._place(named)
            if place is not None:
                wanted.setdefault(place, {})[named] = key
        values: dict[str, bytes] = {}
        for number, names in wanted.items():
            found_there = self._ask(number, partial(Client.get_many, keys=list(names)))
            for named, value in (found_there or {}).items():
                values[names[named]] = bytes(value)
        return values

    def put(self, key: str, value: bytes, expires_s: int) -> bool:
        """Store or replace. True when it is stored."""
        return self._store("set", key, value, expires_s)

    def add(self, key: str, value: bytes, expires_s: int) -> bool:
        """Store only where nothing is. False also when that is not known."""
        return self._store("add", key, value, expires_s)

    def count(self, key: str, expires_s: int, by: int = 1) -> int | None:
        """Add `by` (1 or more) to a counter that begins at 0 and ends `expires_s` after its first
        count; the new value. None when it is not known: then it may or may not have counted.
        Where a connection was lost in between, one count may count twice.
        """
        _bounded(expires_s)
        if by < 1:
            raise ValueError("a counter counts up")
        named = self._named(key)
        number = self._place(named)
        if number is None:
            return None
        return self._ask(number, lambda client: _counted(client, named, expires_s, by))

    def delete(self, key: str) -> bool:
        """Forget the key. True when it surely is not there any more: after False, the value may
        show until it expires.
        """
        named = self._named(key)
        number = self._place(named)
        if number is None:
            return False
        return self._ask(number, lambda client: client.delete(named, noreply=False)) is not None

    def _store(self, command: str, key: str, value: bytes, expires_s: int) -> bool:
        _bounded(expires_s)
        named = self._named(key)
        number = self._place(named)
        if number is None:
            return False
        if len(value) > VALUE_MAX_BYTES:
            self._failed("refused")
            return False

        def store(client: Client) -> bool:
            do = client.set if command == "set" else client.add
            return bool(do(named, value, expire=expires_s, noreply=False))

        return bool(self._ask(number, store))

    def _named(self, key: str) -> str:
        """A key that memcached takes: printable, without blanks, short."""
        named = self._prefix + key
        if _PLAIN_KEY.fullmatch(named):
            return named
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._prefix}sha256:{digest}"

    def _place(self, named: str) -> int | None:
        if not self._places:
            return None
        key = named.encode()
        return max(range(len(self._places)), key=lambda n: _weight(self._places[n].name, key))

    def _ask(self, number: int, question: Callable[[Client], T]) -> T | None:
        place = self._places[number]
        with place.lock:
            if self._clock() < place.alone_until:
                return None
            kept = place.client.sock is not None
            try:
                try:
                    return question(place.client)
                except (ConnectionError, MemcacheUnexpectedCloseError):
                    if not kept:
                        raise
                    # A process that slept (a frozen Lambda environment) wakes with a connection
                    # that the server has closed meanwhile; that says nothing of the server now.
                    place.client.close()
                    return question(place.client)
            except (MemcacheError, OSError, ValueError) as exc:
                self._gave_up(place, exc)
                return None

    def _gave_up(self, place: _Place, failure: Exception) -> None:
        place.client.close()
        answered = isinstance(failure, MemcacheClientError | MemcacheServerError)
        if answered and not isinstance(failure, MemcacheUnexpectedCloseError):
            # It answers, and refuses this one: no memory, too large, not a number.
            self._failed("refused")
            return
        place.alone_until = self._clock() + REST_S
        self._failed("unreachable")

    def _failed(self, word: str) -> None:
        self.failures += 1
        self._on_failure(word)


def _place(server: Server) -> _Place:
    host, port = server
    client = Client(
        (host, port),
        connect_timeout=CONNECT_TIMEOUT_S,
        timeout=ANSWER_TIMEOUT_S,
        no_delay=True,
        default_noreply=False,
    )
    return _Place(f"{host}:{port}".encode(), client)


def _weight(name: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(name + b" " + key, digest_size=8).digest()


def _bounded(expires_s: int) -> None:
    if not 1 <= expires_s <= EXPIRES_IN_S_MAX:
        raise ValueError(f"a value is kept 1 to {EXPIRES_IN_S_MAX} s")


def _counted(client: Client, named: str, expires_s: int, by: int) -> int | None:
    # A counter may expire between two commands, and another process may begin it: at most two
    # rounds, and who loses both knows nothing.
    for _ in range(2):
        counted = client.incr(named, by)
        if counted is not None:
            return int(counted)
        if client.add(named, str(by).encode(), expire=expires_s, noreply=False):
            return by
    return None
