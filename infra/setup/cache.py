"""A content-addressed cache outside the clone.

An entry is built once, published whole by a rename, and from then on only read.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class SetupFailed(Exception):
    """A step that could not be done; `what` failed and `mend` is what a person can do about it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}")
        self.what = what
        self.mend = mend


def cache_root() -> Path:
    """The cache's folder: ORION_CACHE, else orion-pay under XDG_CACHE_HOME, else under ~/.cache."""
    chosen = os.environ.get("ORION_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "orion-pay"


def digest(*parts: Path | str | bytes) -> str:
    """16 hex digits over the bytes of the named files and the given words, each with its length."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part
        raw = data.encode() if isinstance(data, str) else data
        total.update(len(raw).to_bytes(8, "big"))
        total.update(raw)
    return total.hexdigest()[:16]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock `name` against other processes; freed by the kernel at death."""
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def published(name: str, build: Callable[[Path], None]) -> Path:
    """The cache entry `name`, built by `build(folder)` when it does not exist yet.

    `build` fills an empty folder that is renamed to its final name afterwards, so whatever it
    writes must not hold that folder's own path. Of two processes asking at once one builds and
    the other waits.
    """
    entry = cache_root() / name
    if entry.exists():
        return entry
    with locked(name):
        if entry.exists():
            return entry
        for leftover in cache_root().glob(f".building-{name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        staging = cache_root() / f".building-{name}-{os.getpid()}"
        staging.mkdir()
        try:
            build(staging)
            staging.rename(entry)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return entry


def point(link: Path, target: Path) -> None:
    """Make `link` a symbolic link to `target`, replacing an older link in one step."""
    if link.is_symlink() and link.readlink() == target:
        return
    if link.exists() and not link.is_symlink():
        raise SetupFailed(
            f"{link.name} exists and was not made by setup", f"move {link} away and run: make setup"
        )
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
