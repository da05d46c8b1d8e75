"""The chain on disk: one file of lines, each a checksum and a JSON record, only ever appended.

A record is written before its effect is answered, so a killed server loses nothing that it told
anybody. Writes are not flushed to the disk: a power cut may lose the newest ones. A torn last line
is cut off when the file is opened.
"""

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

from infra.local.solana.model import Json

_NAME = "journal"
_CHECKSUM_LETTERS = 8


class JournalDamaged(Exception):
    """A record before the last is not what was written."""


class JournalTaken(Exception):
    """Another server uses the folder."""


def _line(record: Json) -> bytes:
    body = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (crc32(body), body)


class Journal:
    """The journal of `folder`, held by this process until `close`.

    Raises JournalTaken, JournalDamaged.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / _NAME
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._lock)
            raise JournalTaken(str(folder)) from exc
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    @property
    def size_bytes(self) -> int:
        return os.fstat(self._file).st_size

    def read(self) -> Iterable[Json]:
        """All records, oldest first; a torn last one is removed from the file."""
        good = 0
        with self._path.open("rb") as file:
            torn = False
            for line in file:
                if torn:
                    raise JournalDamaged(f"record at byte {good} of {self._path}")
                body = line[_CHECKSUM_LETTERS + 1 : -1]
                if line != b"%08x %s\n" % (crc32(body), body):
                    torn = True
                    continue
                good += len(line)
                yield json.loads(body)
        os.truncate(self._file, good)

    def append(self, record: Json) -> None:
        """Hand one record to the operating system."""
        line = _line(record)
        if os.write(self._file, line) != len(line):
            raise OSError("the journal's disk is full")

    def replace(self, records: Iterable[Json]) -> None:
        """Put `records` in the place of all that was written, in one step."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            for record in records:
                file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._path)
        os.close(self._file)
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND, 0o600)

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)
