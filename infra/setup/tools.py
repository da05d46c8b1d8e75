"""Where `make setup` put the engines and tools: `tool("mariadbd")` is a path that exists."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from infra.setup.cache import ROOT

TOOLS = ROOT / ".tools"

# Debian installs these; the first candidate that exists is taken. A bare name is looked up on PATH.
_SYSTEM: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mariadbd": ("/usr/sbin/mariadbd", "mariadbd"),
        "mariadb-install-db": ("/usr/bin/mariadb-install-db", "mariadb-install-db"),
        "mariadb": ("/usr/bin/mariadb", "mariadb"),
        "postgres": ("/usr/lib/postgresql/15/bin/postgres", "postgres"),
        "initdb": ("/usr/lib/postgresql/15/bin/initdb", "initdb"),
        "memcached": ("/usr/bin/memcached", "memcached"),
        "chromium": ("/usr/bin/chromium", "chromium"),
    }
)

# Setup puts these under .tools of the clone, a link into the cache.
_INSTALLED: Mapping[str, str] = MappingProxyType(
    {
        "anvil": "bin/anvil",
        "btcd": "bin/btcd",
        "cdk": "bin/cdk",
        "go": "bin/go",
        "java": "bin/java",
        "kafka-libs": "kafka",
        "ministack-python": "ministack/bin/python",
        "node": "bin/node",
        "npm": "bin/npm",
        "solc": "bin/solc",
        "uv": "bin/uv",
    }
)

NAMES = frozenset(_SYSTEM) | frozenset(_INSTALLED)


class ToolMissing(Exception):
    """A tool that is not installed; the message ends with how to mend it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not installed; run: make setup")
        self.name = name


def tool(name: str) -> Path:
    """Absolute path of the program (or, for `kafka-libs`, of the folder of jars) called `name`.

    `cdk`, `npm` and `solc` put the installed Node first on PATH by themselves; the others need
    nothing but their path. Raises ToolMissing when it is not there and KeyError for a name
    outside NAMES.
    """
    if name in _INSTALLED:
        candidate = TOOLS / _INSTALLED[name]
        if candidate.exists():
            return candidate
        raise ToolMissing(name)
    for place in _SYSTEM[name]:
        found = shutil.which(place)
        if found:
            return Path(found)
    raise ToolMissing(name)
