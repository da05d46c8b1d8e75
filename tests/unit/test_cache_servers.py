"""The parameter that names a stage's memcached servers."""

import pytest

from orion.runtime.cache import read_servers
from orion.runtime.settings import MissingSetting


def test_servers_are_hosts_and_ports_with_commas() -> None:
    assert read_servers("10.0.0.1:11211, cache.internal:11212,[::1]:1") == (
        ("10.0.0.1", 11211),
        ("cache.internal", 11212),
        ("::1", 1),
    )


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":1", "host:0", "host:65536", "host:1x", "a:1,,b:1", "host:²"]
)
def test_a_server_without_host_or_port_is_refused(text: str) -> None:
    with pytest.raises(MissingSetting):
        read_servers(text)


def test_more_servers_than_a_cluster_has_are_refused() -> None:
    assert len(read_servers(",".join(f"h{n}:1" for n in range(60)))) == 60
    with pytest.raises(MissingSetting):
        read_servers(",".join(f"h{n}:1" for n in range(61)))
