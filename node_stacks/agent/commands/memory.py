"""Which commands were begun: each is remembered on the disk before anything is done for it.

So a command that comes again, after a crash too, is refused; whether the first one was finished
nobody can tell then, and its asker hears nothing: unknown.
"""

from datetime import datetime
from pathlib import Path

from node_stacks.agent.commands.private_files import read_private, write_private
from node_stacks.agent.errors import StateRefused
from orion.errors import OrionError, Retry
from orion.records import MalformedJson, canonical_json, parse_object

REMEMBERED_MAX = 1_024
# A clock that is set back by less than this brings no forgotten command back to life.
_KEPT_S = 60
_FILE = "commands.json"


class MemoryFull(OrionError):
    """As many commands are remembered as may be, and none has expired."""

    code = "memory_full"
    retry = Retry.LATER


class ReplayMemory:
    """Ids of commands that have not expired. One process has the folder (`lock_folder`)."""

    def __init__(self, folder: Path) -> None:
        """Raises StateRefused: to begin empty beside a file that cannot be read would let every
        command in it be executed again.
        """
        self._path = folder / _FILE
        self._expiry_s: dict[str, int] = {}
        content = read_private(self._path)
        if content is not None:
            self._expiry_s = _read(content, self._path)

    def remember(self, command_id: str, expires_at: datetime, now: datetime) -> bool:
        """Keep `command_id` until it expires; False when it is kept already.

        When this returns True the id outlives a power cut. What expired a minute before `now` is
        forgotten: the expiry alone refuses it. Raises MemoryFull, StateRefused.
        """
        if command_id in self._expiry_s:
            return False
        now_s = int(now.timestamp())
        kept = {known: at_s for known, at_s in self._expiry_s.items() if at_s + _KEPT_S >= now_s}
        if len(kept) >= REMEMBERED_MAX:
            raise MemoryFull("too many commands are under way", remembered=len(kept))
        kept[command_id] = int(expires_at.timestamp())
        write_private(self._path, canonical_json({"v": 1, "expiry_s": kept}))
        self._expiry_s = kept
        return True

    def __len__(self) -> int:
        return len(self._expiry_s)


def _read(content: bytes, path: Path) -> dict[str, int]:
    try:
        body = parse_object(content)
    except MalformedJson as exc:
        raise StateRefused("the memory of commands cannot be read", path=str(path)) from exc
    rows = body.get("expiry_s")
    if body.get("v") != 1 or not isinstance(rows, dict):
        raise StateRefused("the memory of commands is of another form", path=str(path))
    found: dict[str, int] = {}
    for command_id, at_s in rows.items():
        if not isinstance(command_id, str) or type(at_s) is not int:
            raise StateRefused("the memory of commands is of another form", path=str(path))
        found[command_id] = at_s
    return found
