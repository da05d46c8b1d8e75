"""Small files that only the agent's own user may open, and that survive a power cut."""

import fcntl
import os
import stat
from pathlib import Path

from node_stacks.agent.errors import StateRefused

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_READ_BYTES_MAX = 1 << 20


def open_folder(path: Path) -> Path:
    """`path` as a folder that only this user may enter, made where it is missing.

    Raises StateRefused.
    """
    try:
        path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as exc:
        raise StateRefused("the state folder cannot be used", path=str(path)) from exc
    if not stat.S_ISDIR(found.st_mode):
        raise StateRefused("the state folder is no folder", path=str(path))
    _check_private(path, found, _FOLDER_MODE)
    return path


def lock_folder(folder: Path) -> int:
    """Take the folder for this process alone; the descriptor holds the lock until it is closed.

    Two agents with one state would each execute what the other has remembered. Raises StateRefused.
    """
    descriptor = os.open(
        folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise StateRefused("another agent uses this state folder", path=str(folder)) from exc
    return descriptor


def read_private(path: Path) -> bytes | None:
    """The whole file, None where there is none. Raises StateRefused for a file that others may
    open.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StateRefused("a state file cannot be read", path=str(path)) from exc
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise StateRefused("a state file is no plain file", path=str(path))
        _check_private(path, found, _FILE_MODE)
        content = file.read(_READ_BYTES_MAX + 1)
    if len(content) > _READ_BYTES_MAX:
        raise StateRefused("a state file is too large", path=str(path))
    return content


def write_private(path: Path, content: bytes) -> None:
    """Replace the file whole; when this returns it outlives a power cut. Raises StateRefused.

    A crash on the way leaves the old file or the new one: the name moves only after the bytes are
    on the disk, and the folder is synced after it moved.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise StateRefused("a state file cannot be written", path=str(path)) from exc


def _check_private(path: Path, found: os.stat_result, mode: int) -> None:
    if stat.S_IMODE(found.st_mode) != mode:
        raise StateRefused(
            f"the agent's state must have mode {mode:04o}",
            path=str(path),
            mode=oct(stat.S_IMODE(found.st_mode)),
        )
    if found.st_uid != os.geteuid():
        raise StateRefused("the agent's state belongs to another user", path=str(path))
