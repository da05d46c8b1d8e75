"""Read the migrations folder from disk, whole, before anything runs."""

from pathlib import Path

from orion.arch.model import MalformedMigration
from orion.arch.ports import Sources

LAYOUT_FILE = "grants.toml"


def read_sources(folder: Path) -> Sources:
    """The content of `folder`: `grants.toml`, `mysql/<module>/*.sql`, `postgres/*.sql`.

    Raises MalformedMigration without the first.
    """
    layout = folder / LAYOUT_FILE
    if not layout.is_file():
        raise MalformedMigration(f"{folder} holds no {LAYOUT_FILE}", file=LAYOUT_FILE)
    return Sources(
        layout=layout.read_bytes(),
        mysql={child.name: _files(child) for child in _folders(folder / "mysql")},
        postgres=_files(folder / "postgres"),
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _files(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    return {child.name: child.read_bytes() for child in sorted(folder.iterdir()) if child.is_file()}
