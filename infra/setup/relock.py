"""Resolve every lock again: `make lock` keeps pins that still fit, UPGRADE=1 moves them.

Each lock is written beside its place and moved there when all of them are done. None holds a
download address: the machine that installs says where its registries are.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.setup import entries
from infra.setup.cache import SetupFailed
from infra.setup.console import run, say
from infra.setup.entries import LOCKS, Toolchain
from infra.setup.system import FETCHERS, install_packages

_MEND = "read the log above; the locks are unchanged"
_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
# Lambda's python3.11 has glibc 2.26; the host is Debian 12 with glibc 2.36.
_LAMBDA_PLATFORM = "x86_64-manylinux2014"
_HOST_PLATFORM = "x86_64-manylinux_2_28"


def relock() -> None:
    """All locks, the Lambda lock first because it is a constraint of the host's."""
    install_packages(FETCHERS)
    tools = entries.toolchain()
    with TemporaryDirectory() as name:
        work = Path(name) / "locks"
        shutil.copytree(LOCKS, work)
        _python_lock(tools, work, "lambda", _LAMBDA_PLATFORM)
        _python_lock(tools, work, "host", _HOST_PLATFORM, "-c", "lambda.txt")
        _python_lock(tools, work, "ministack", _HOST_PLATFORM)
        _python_lock(tools, work, "toolchain", _HOST_PLATFORM)
        _npm_lock(tools, work / "npm")
        _kafka_lock(tools, work / "kafka")
        _btcd_lock(tools, work / "btcd")
        shutil.copytree(work, LOCKS, dirs_exist_ok=True)
    say("all locks are resolved; run: make test")


def _python_lock(tools: Toolchain, work: Path, name: str, platform: str, *more: str) -> None:
    say(f"lock: {name}.txt")
    command = ["pip", "compile", f"{name}.in", "-o", f"{name}.txt", *more]
    plain = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    target = ["--python-version", _PYTHON, "--python-platform", platform]
    wheels = ["--only-binary", ":all:", "--generate-hashes", "--no-config"]
    upgrade = ["--upgrade"] if os.environ.get("UPGRADE") else []
    words: Sequence[str | Path] = [tools.uv, *command, *plain, *target, *wheels, *upgrade]
    run(f"lock-{name}", words, cwd=work, env=entries.uv_settings(tools), mend=_MEND)


def _npm_lock(tools: Toolchain, work: Path) -> None:
    say("lock: npm/package-lock.json")
    node = tools.node_bin / "node"
    options = ["--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]
    words: Sequence[str | Path] = [node, tools.npm_cli, "install", *options]
    words = [*words, "--omit-lockfile-registry-resolved"]
    run("lock-npm", words, cwd=work, env=entries.node_first(tools), mend=_MEND)
    lock = work / "package-lock.json"
    content = json.loads(lock.read_text())
    for package in content["packages"].values():
        package.pop("funding", None)  # Addresses that no installation needs.
    lock.write_text(json.dumps(content, indent=2) + "\n")


def _kafka_lock(tools: Toolchain, work: Path) -> None:
    say("lock: kafka/jars.sha256")
    with TemporaryDirectory() as jars:
        entries.copy_jars(work / "pom.xml", Path(jars), tools)
        lines = [
            f"{sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n"
            for jar in sorted(Path(jars).glob("*.jar"))
        ]
    (work / "jars.sha256").write_text("".join(lines))


def _btcd_lock(tools: Toolchain, work: Path) -> None:
    say("lock: btcd/go.sum")
    run("lock-btcd", [tools.go, "mod", "tidy"], cwd=work, env=entries.go_settings(), mend=_MEND)


def main() -> int:
    """Exit code 0, or 1 with one last line that says what failed."""
    try:
        relock()
    except SetupFailed as problem:
        print(f"lock failed: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
