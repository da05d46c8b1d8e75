"""Debian packages: what the local stack takes from the distribution."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence

from infra.setup.cache import SetupFailed, locked
from infra.setup.console import run, say

# Engines, the browser with fonts for every language of the pages, and trust roots.
ENGINES = (
    "ca-certificates",
    "chromium",
    "fonts-noto-cjk",
    "fonts-noto-core",
    "mariadb-client-core",
    "mariadb-server-core",
    "memcached",
    "postgresql-15",
)
# Only to fetch Kafka's jars, so only when the cache has none.
FETCHERS = ("maven",)


def missing_packages(names: Iterable[str]) -> list[str]:
    """Those of `names` that dpkg does not report as installed; empty where there is no dpkg."""
    wanted = list(names)
    query = shutil.which("dpkg-query")
    if query is None:
        return []
    listed = subprocess.run(
        [query, "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    installed = {line.split()[0] for line in listed if line.endswith(" installed")}
    return [name for name in wanted if name not in installed]


def install_packages(names: Sequence[str]) -> None:
    """Install the missing ones of `names`, as root or through sudo.

    The package lists are fetched only when something is missing.
    """
    if not missing_packages(names):
        return
    with locked("apt"):
        missing = missing_packages(names)
        if not missing:
            return
        mend = f"run as root: apt-get update && apt-get install {' '.join(missing)}"
        say(f"apt: installing {' '.join(missing)}")
        prefix = _as_root(mend)
        apt = [
            *prefix,
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-o",
            "DPkg::Lock::Timeout=300",
        ]
        run("apt-update", [*apt, "update"], mend=mend)
        run(
            "apt-install",
            [*apt, "install", "-y", "--no-install-recommends", *missing],
            mend=mend,
            timeout_s=1800,
        )
        say("apt: done")


def _as_root(mend: str) -> list[str]:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        raise SetupFailed("Debian packages are missing and there is no sudo", mend)
    return [sudo]
