"""`make setup` puts the command `orion` into the clone's environment, which clones share."""

import os
import subprocess
from pathlib import Path

import pytest

from infra.setup import operator_command
from infra.setup.cache import SetupFailed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in a cache of its own, with a Python that tells what it was given."""
    monkeypatch.setenv("ORION_CACHE", str(tmp_path / "cache"))
    environment = tmp_path / "cache" / "venv-1"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$PYTHONPATH $*"\n')
    python.chmod(0o755)
    operator_command.install(environment)
    return environment


def clone(folder: Path, environment: Path) -> Path:
    (folder / "clients" / "operator").mkdir(parents=True)
    (folder / ".venv").symlink_to(environment)
    return folder


def told(*command: str, cwd: Path, path: str = os.defpath) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=cwd, env={"PATH": path}, capture_output=True, text=True, check=False
    )


def test_the_command_runs_the_clone_by_whose_environment_it_was_called(
    shared: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        root = clone(tmp_path / name, shared)
        paths = f"{root}:{root}/layers/orion/python -P -m clients.operator books check\n"
        by_path = told(
            "orion", "books", "check", cwd=tmp_path, path=f"{root}/.venv/bin:/usr/bin:/bin"
        )
        assert told(f"{root}/.venv/bin/orion", "books", "check", cwd=tmp_path).stdout == paths
        assert told(".venv/bin/orion", "books", "check", cwd=root).stdout == paths
        assert by_path.stdout == paths


def test_called_by_the_caches_own_name_it_says_what_to_call(shared: Path, tmp_path: Path) -> None:
    done = told(str(shared / "bin" / "orion"), cwd=tmp_path)

    assert done.returncode == 2
    assert "call it as .venv/bin/orion of a clone" in done.stderr


def test_installing_again_writes_nothing(shared: Path) -> None:
    program = shared / "bin" / "orion"
    before = program.stat()
    operator_command.install(shared)
    assert program.stat() == before

    program.write_text("something older")
    operator_command.install(shared)
    assert program.stat().st_mode & 0o111
    assert "clients.operator" in program.read_text()


def test_an_environment_that_cannot_be_written_says_what_to_mend(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="make setup"):
        operator_command.install(tmp_path / "absent")


def test_the_command_of_this_clone_answers() -> None:
    done = told(str(ROOT / ".venv" / "bin" / "orion"), "books", "--help", cwd=Path("/"))

    assert done.returncode == 0
    assert "prove that a transfer is booked" in done.stdout
