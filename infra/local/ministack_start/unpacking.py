"""A layer is unpacked once, however many workers have it.

The engine gives each worker of each function a copy of all its layers, 30 to 100 MB, and keeps it:
a stage with a hundred workers filled 5 GB of the disk, and a full disk ends every engine. Here each
worker's folder is a link to the one that was made from a layer with these bytes. What one worker
compiles, the others find.
"""

import hashlib
import shutil
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

# A function's own code has a few kB; its worker may have it as it likes.
SHARED_FROM_BYTES = 1_000_000
FOLDER = "layers"
_making = threading.Lock()
_extract_all = zipfile.ZipFile.extractall


def correct() -> None:
    """Put this way of unpacking in the place of the library's own, in this process."""
    replaced: Any = zipfile.ZipFile
    replaced.extractall = extract_all


def extract_all(
    archive: zipfile.ZipFile, path: Any = None, members: Any = None, pwd: bytes | None = None
) -> None:
    """As `ZipFile.extractall`; an empty folder `path` becomes a link to what was unpacked before,
    and the archive's file goes: nobody reads it again.
    """
    name = archive.filename
    shared = members is None and pwd is None and path is not None and name is not None
    file, place = Path(str(name)), Path(str(path))
    if not shared or file.stat().st_size < SHARED_FROM_BYTES or any(place.iterdir()):
        _extract_all(archive, path, members, pwd)
        return
    made = _made(archive, file)
    place.rmdir()
    place.symlink_to(made, target_is_directory=True)
    file.unlink()


def _made(archive: zipfile.ZipFile, file: Path) -> Path:
    """The folder of an archive with these bytes; one that is there is whole."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    folder = Path(tempfile.gettempdir()) / FOLDER
    made = folder / digest
    with _making:
        if not made.exists():
            folder.mkdir(exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=folder))
            try:
                _extract_all(archive, fresh)
                fresh.rename(made)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
    return made
