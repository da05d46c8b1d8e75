"""The stage's memcached, as its parameter names it."""

from functools import cache as once

from orion.adapters.memcached.cache import SERVERS_MAX, Cache, Server
from orion.runtime.metrics import count
from orion.runtime.settings import MissingSetting, settings

_PARAMETER = "memcached/servers"


@once
def cache() -> Cache:
    """One a process. A stage whose parameter says `none` has no cache: everything is missing."""
    known = settings()
    text = known.optional(_PARAMETER)
    servers = () if text is None else read_servers(text)
    return Cache(servers, f"orion:{known.stage}:", _count_failure)


def read_servers(text: str) -> tuple[Server, ...]:
    """`host:port,…`, at most SERVERS_MAX. Raises MissingSetting."""
    servers = tuple(_server(part) for part in text.split(","))
    if len(servers) > SERVERS_MAX:
        raise MissingSetting(f"at most {SERVERS_MAX} servers", parameter=_PARAMETER)
    return servers


def _server(text: str) -> Server:
    host, colon, port = text.strip().rpartition(":")
    valid = port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65_535
    if not (host and colon and valid):
        raise MissingSetting("a server is not host:port", parameter=_PARAMETER)
    return host.removeprefix("[").removesuffix("]"), int(port)


def _count_failure(word: str) -> None:
    count("cache", f"cache_{word}", 1)
