"""Install everything, once; the second time only compare what is there with the locks."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from infra.setup import entries, operator_command
from infra.setup.cache import ROOT, SetupFailed, cache_root, point
from infra.setup.console import say
from infra.setup.system import ENGINES, install_packages


def install() -> None:
    """Debian's packages, then every cache entry, then the clone's links .venv and .tools."""
    cache_root().mkdir(parents=True, exist_ok=True)
    install_packages(ENGINES)
    tools = entries.toolchain()
    work: dict[str, Callable[[], Path]] = {
        "venv": partial(entries.environment, "venv", entries.LOCKS / "host.txt", tools),
        "ministack": partial(
            entries.environment, "ministack", entries.LOCKS / "ministack.txt", tools
        ),
        "npm": partial(entries.npm_packages, tools),
        "kafka": partial(entries.kafka_jars, tools),
        "btcd": partial(entries.btcd, tools),
    }
    with ThreadPoolExecutor(max_workers=len(work)) as pool:
        started = {name: pool.submit(step) for name, step in work.items()}
    parts = {name: future.result() for name, future in started.items()}
    operator_command.install(parts["venv"])
    point(ROOT / ".venv", parts.pop("venv"))
    point(ROOT / ".tools", entries.assembled(tools, parts))
    say("everything is installed")


def main() -> int:
    """Exit code 0, or 1 with one last line that says what failed and how to mend it."""
    try:
        install()
    except SetupFailed as problem:
        print(f"setup failed: {problem.what}; to mend it: {problem.mend}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup stopped; nothing half done was kept; run: make setup", file=sys.stderr)
        return 130
    except OSError as problem:
        print(
            f"setup failed: {problem}; to mend it: free the disk or the folder, run: make setup",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
