"""What the locks promise: everything hashed, no download address, one version of what is shared."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from layers import build

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "locks"
PYTHON_LOCKS = ["lambda", "host", "ministack", "toolchain"]


def pins(name: str) -> dict[str, str]:
    """Version of each distribution of a Python lock."""
    found = re.findall(
        r"^([a-z0-9._-]+)==([^ \\]+)", (LOCKS / f"{name}.txt").read_text(), flags=re.MULTILINE
    )
    return dict(found)


@pytest.mark.parametrize(
    "file", sorted(LOCKS.rglob("*.*")), ids=lambda file: file.relative_to(LOCKS).as_posix()
)
def test_no_lock_names_a_download_address(file: Path) -> None:
    assert not re.search(r"\b(?:https?|git|ssh|file)\b:|--index|--find-links", file.read_text())


@pytest.mark.parametrize("name", PYTHON_LOCKS)
def test_every_line_of_a_python_lock_is_a_pin_or_its_hash(name: str) -> None:
    lines = (LOCKS / f"{name}.txt").read_text().splitlines()
    assert lines
    for above, line in zip(["", *lines], lines, strict=False):
        if re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line):
            assert above.endswith("\\")
        else:
            assert re.fullmatch(r"[a-z0-9._-]+==\S+( ; [^\\]+)? \\", line), line


@pytest.mark.parametrize("name", PYTHON_LOCKS)
def test_a_python_lock_has_every_wish_of_its_input(name: str) -> None:
    wishes = re.findall(
        r"^([a-z0-9][a-z0-9._-]*)", (LOCKS / f"{name}.in").read_text(), flags=re.MULTILINE
    )
    assert wishes
    assert set(wishes) <= set(pins(name))


def test_the_host_has_every_lambda_package_in_the_same_version() -> None:
    host = pins("host")
    assert pins("lambda").items() <= host.items()


def test_every_npm_package_has_a_hash() -> None:
    packages = json.loads((LOCKS / "npm" / "package-lock.json").read_text())["packages"]
    installed = {name: entry for name, entry in packages.items() if name}
    assert installed
    assert all(entry["integrity"].startswith("sha512-") for entry in installed.values())
    assert not any("resolved" in entry for entry in installed.values())


def test_every_jar_has_a_hash() -> None:
    lines = (LOCKS / "kafka" / "jars.sha256").read_text().splitlines()
    assert any("  kafka_2.13-" in line for line in lines)
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.-]+\.jar", line) for line in lines)


def test_every_go_module_of_the_bitcoin_node_has_a_hash() -> None:
    needed = re.findall(
        r"^\t?(?:require )?(\S+\.\S+/\S+) (v\S+)",
        (LOCKS / "btcd" / "go.mod").read_text(),
        flags=re.MULTILINE,
    )
    hashed = (LOCKS / "btcd" / "go.sum").read_text()
    assert ("github.com/btcsuite/btcd", "v0.26.0") in needed
    assert "github.com/btcsuite/btcd v0.26.0 h1:" in hashed


def test_every_lambda_package_is_in_exactly_one_layer() -> None:
    placed = [item for name in build.THIRD_PARTY for item in build.distributions(name)]
    assert sorted(placed) == sorted(pins("lambda"))


def test_the_python_version_is_one_that_the_project_supports_and_stands_once() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    version = tomllib.loads(text)["tool"]["orion"]["python"]
    assert version in {"3.11", "3.12", "3.13"}
    assert text.count(f'"{version}"') == 1
    assert version == build.PYTHON_VERSION
