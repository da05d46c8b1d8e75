"""What an agent keeps beside itself: remembered commands and its key, for its own user alone."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from node_stacks.agent.commands.answer_key import answer_key
from node_stacks.agent.commands.memory import REMEMBERED_MAX, MemoryFull, ReplayMemory
from node_stacks.agent.commands.private_files import lock_folder, open_folder, write_private
from node_stacks.agent.errors import StateRefused
from orion.records import canonical_json
from tests.unit.agent_commands import NOW

LATER = NOW + timedelta(seconds=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return open_folder(tmp_path / "state")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_command_is_remembered_once(folder: Path) -> None:
    memory = ReplayMemory(folder)
    assert memory.remember("a" * 32, LATER, NOW)
    assert not memory.remember("a" * 32, LATER, NOW)
    assert memory.remember("b" * 32, LATER, NOW)


def test_what_was_remembered_before_a_crash_is_remembered_after_it(folder: Path) -> None:
    assert ReplayMemory(folder).remember("a" * 32, LATER, NOW)
    assert not ReplayMemory(folder).remember("a" * 32, LATER, NOW)


def test_a_write_that_a_crash_cut_off_leaves_what_was_there(folder: Path) -> None:
    ReplayMemory(folder).remember("a" * 32, LATER, NOW)
    (folder / "commands.json.new").write_bytes(b'{"v":1,"expi')
    memory = ReplayMemory(folder)
    assert not memory.remember("a" * 32, LATER, NOW)
    assert memory.remember("b" * 32, LATER, NOW)


def test_a_command_is_on_the_disk_before_remember_returns(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    ReplayMemory(folder).remember("a" * 32, LATER, NOW)
    assert steps == ["sync commands.json.new", "rename", "sync state"]


def test_a_command_that_could_not_be_written_is_not_remembered(folder: Path) -> None:
    memory = ReplayMemory(folder)
    (folder / "commands.json.new").mkdir()
    with pytest.raises(StateRefused):
        memory.remember("a" * 32, LATER, NOW)
    (folder / "commands.json.new").rmdir()
    assert memory.remember("a" * 32, LATER, NOW)


def test_expired_commands_are_forgotten_a_minute_later_and_unexpired_ones_never(
    folder: Path,
) -> None:
    memory = ReplayMemory(folder)
    memory.remember("a" * 32, NOW + timedelta(seconds=30), NOW)
    memory.remember("b" * 32, NOW + timedelta(seconds=600), NOW)
    memory.remember("c" * 32, NOW + timedelta(seconds=600), NOW + timedelta(seconds=90))
    assert len(memory) == 3
    memory.remember("d" * 32, NOW + timedelta(seconds=600), NOW + timedelta(seconds=93))
    assert len(memory) == 3
    assert not memory.remember("b" * 32, NOW + timedelta(seconds=600), NOW)


def test_a_command_is_never_forgotten_within_a_minute_of_its_expiry(folder: Path) -> None:
    memory = ReplayMemory(folder)
    expiry = NOW + timedelta(milliseconds=900)
    memory.remember("a" * 32, expiry, NOW)
    memory.remember("b" * 32, LATER, expiry + timedelta(seconds=60))
    assert not memory.remember("a" * 32, expiry, NOW)


def test_a_full_memory_refuses_instead_of_forgetting(folder: Path) -> None:
    kept = {f"{number:032x}": int(LATER.timestamp()) for number in range(REMEMBERED_MAX)}
    write_private(folder / "commands.json", canonical_json({"v": 1, "expiry_s": kept}))
    memory = ReplayMemory(folder)
    with pytest.raises(MemoryFull):
        memory.remember("f" * 32, LATER, NOW)
    assert memory.remember("f" * 32, LATER + timedelta(hours=1), LATER + timedelta(minutes=2))
    assert len(memory) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"v":1}', b'{"v":2,"expiry_s":{}}', b'{"v":1,"expiry_s":{"a":"b"}}'],
)
def test_a_damaged_memory_stops_the_agent(folder: Path, content: bytes) -> None:
    write_private(folder / "commands.json", content)
    with pytest.raises(StateRefused):
        ReplayMemory(folder)


@pytest.mark.parametrize("name", ["commands.json", "answer-key.pem"])
def test_state_that_others_may_open_is_refused(folder: Path, name: str) -> None:
    ReplayMemory(folder).remember("a" * 32, LATER, NOW)
    answer_key(folder)
    assert mode(folder) == 0o700
    assert mode(folder / name) == 0o600
    (folder / name).chmod(0o640)
    with pytest.raises(StateRefused):
        (ReplayMemory if name == "commands.json" else answer_key)(folder)


def test_a_state_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.chmod(0o711)
    with pytest.raises(StateRefused):
        open_folder(folder)


def test_a_state_file_behind_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    write_private(tmp_path / "elsewhere", b'{"v":1,"expiry_s":{}}')
    (folder / "commands.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateRefused):
        ReplayMemory(folder)


def test_the_answer_key_is_made_once_and_stays(folder: Path) -> None:
    made = answer_key(folder)
    assert answer_key(folder).public_text == made.public_text
    assert answer_key(folder.with_name("other")).public_text != made.public_text
    assert mode(folder / "answer-key.pem") == 0o600


@pytest.mark.parametrize("content", [b"", b"no key"])
def test_a_damaged_answer_key_is_not_replaced(folder: Path, content: bytes) -> None:
    write_private(folder / "answer-key.pem", content)
    with pytest.raises(StateRefused):
        answer_key(folder)


def test_two_agents_cannot_share_a_state_folder(folder: Path) -> None:
    descriptor = lock_folder(folder)
    code = (
        "import sys; from pathlib import Path\n"
        "from node_stacks.agent.commands.private_files import lock_folder\n"
        "lock_folder(Path(sys.argv[1]))"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    run = [sys.executable, "-c", code, str(folder)]
    try:
        second = subprocess.run(run, env={"PYTHONPATH": paths}, capture_output=True, check=False)
    finally:
        os.close(descriptor)
    assert b"another agent uses this state folder" in second.stderr
    lock_folder(folder)
