"""Installation: the cache's promises, the look-up of tools, and the last line of a failure."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infra.setup import cache, entries, tools
from infra.setup.console import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("ORION_CACHE", str(folder))
    return folder


def test_an_entry_is_built_once(own_cache: Path) -> None:
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "file").write_text("x")

    first = cache.published("entry-1", build)
    assert cache.published("entry-1", build) == first
    assert len(built) == 1
    assert (first / "file").read_text() == "x"


def test_an_entry_whose_build_fails_does_not_appear(own_cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise cache.SetupFailed("step", "mend")

    with pytest.raises(cache.SetupFailed):
        cache.published("entry-1", fail)
    assert [path.name for path in own_cache.iterdir()] == ["locks"]


def test_what_a_killed_build_left_is_removed_by_the_next(own_cache: Path) -> None:
    (own_cache / ".building-entry-1-999").mkdir()
    cache.published("entry-1", lambda folder: None)
    assert not list(own_cache.glob(".building-*"))


def test_two_at_once_build_an_entry_once(own_cache: Path) -> None:
    built = []
    waiting = threading.Barrier(2)

    def build(folder: Path) -> None:
        built.append(folder)

    def ask() -> None:
        waiting.wait(timeout=10)
        cache.published("entry-1", build)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(built) == 1


def test_a_digest_depends_on_where_one_part_ends() -> None:
    assert cache.digest("ab", "c") != cache.digest("a", "bc")


def test_a_folder_that_a_person_made_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    with pytest.raises(cache.SetupFailed, match="not made by setup"):
        cache.point(tmp_path / ".venv", tmp_path)


def test_a_link_moves_to_the_new_entry(tmp_path: Path) -> None:
    for target in ("one", "two", "two"):
        cache.point(tmp_path / "link", tmp_path / target)
        assert (tmp_path / "link").readlink() == tmp_path / target
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_command_names_its_step_and_its_log(own_cache: Path) -> None:
    with pytest.raises(cache.SetupFailed, match="step: false ended with 1") as raised:
        run("step", ["false"], mend="do this")
    assert raised.value.mend == "do this"


def test_a_jar_with_other_bytes_than_locked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"x")
    hashes = tmp_path / "hashes"
    hashes.write_text(f"{'0' * 64}  a.jar\n{'1' * 64}  b.jar\n")
    with pytest.raises(cache.SetupFailed, match=r"a\.jar, b\.jar"):
        entries._verify_jars(tmp_path, hashes)


@pytest.mark.parametrize("name", sorted(tools.NAMES))
def test_every_tool_is_there_after_setup(name: str) -> None:
    assert tools.tool(name).exists()


def test_a_missing_tool_says_how_to_mend_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tools, "TOOLS", tmp_path)
    with pytest.raises(tools.ToolMissing, match=r"btcd is not installed; run: make setup"):
        tools.tool("btcd")


@pytest.mark.parametrize(
    "name, words",
    [
        ("node", "v24."),
        ("cdk", "2.1148.1"),
        ("anvil", "1.7."),
        ("btcd", "0.26."),
        ("solc", "0.8.37"),
        ("java", "25."),
        ("npm", "1"),
        ("ministack-python", "Python 3."),
    ],
)
def test_a_tool_starts_in_the_version_that_is_locked(name: str, words: str) -> None:
    done = subprocess.run(
        [tools.tool(name), "--version"],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert words in done.stdout


def test_setup_uses_the_python_of_the_constant() -> None:
    done = subprocess.run(
        ["bash", ROOT / "infra/setup/bootstrap.sh", "2.6"],
        env={"PATH": "/nonexistent", "HOME": "/nonexistent"},
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("setup failed: no Python 2.6")


def test_the_environment_runs_the_version_that_lambda_runs() -> None:
    from layers.build import PYTHON_VERSION

    assert f"{sys.version_info[0]}.{sys.version_info[1]}" == PYTHON_VERSION
