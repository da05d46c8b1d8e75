"""Compare the Python locks with published vulnerabilities, offline.

The advisories come as a folder of OSV records (one JSON file each, as in OSV's export for the
PyPI ecosystem), named by ADVISORIES. Without them nothing can be said, and the command says that.
Source: OSV schema 1.6, "affected" and "Evaluation".
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from infra.setup.entries import LOCKS

NOT_RUN = 2


class AdvisoryUnreadable(Exception):
    """A file of the advisories folder that is not an OSV record."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One locked distribution that one advisory names."""

    lock: str
    distribution: str
    version: str
    advisory: str
    summary: str


def findings(locks: Sequence[Path], advisories: Path) -> list[Finding]:
    """Every pair of a locked version and an advisory that covers it, withdrawn ones left out.

    Raises AdvisoryUnreadable.
    """
    by_name: dict[str, list[tuple[Path, str]]] = {}
    for lock in locks:
        for name, version in _pins(lock):
            by_name.setdefault(name, []).append((lock, version))
    found = []
    for file in sorted(advisories.rglob("*.json")):
        record = _record(file)
        if record.get("withdrawn"):
            continue
        for affected in _objects(record.get("affected")):
            package = affected.get("package")
            if not isinstance(package, dict) or package.get("ecosystem") != "PyPI":
                continue
            for lock, version in by_name.get(canonicalize_name(str(package.get("name"))), []):
                if _covers(affected, version):
                    name = canonicalize_name(str(package["name"]))
                    summary = str(record.get("summary") or "")
                    found.append(Finding(lock.name, name, version, str(record["id"]), summary))
    return found


def _pins(lock: Path) -> list[tuple[str, str]]:
    return re.findall(r"^([a-z0-9._-]+)==([^ \\]+)", lock.read_text(), flags=re.MULTILINE)


def _record(file: Path) -> Mapping[str, object]:
    try:
        record = json.loads(file.read_text())
    except ValueError as problem:
        raise AdvisoryUnreadable(f"{file}: {problem}") from problem
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise AdvisoryUnreadable(f"{file}: no OSV record")
    return record


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _covers(affected: Mapping[str, object], version: str) -> bool:
    """The record lists the version, or the version lies in one of its ranges."""
    listed = affected.get("versions")
    if isinstance(listed, list) and version in listed:
        return True
    return any(
        _in_range(list(_objects(span.get("events"))), Version(version))
        for span in _objects(affected.get("ranges"))
        if span.get("type") == "ECOSYSTEM"
    )


def _in_range(events: Sequence[Mapping[str, object]], version: Version) -> bool:
    """OSV's evaluation: walk the events in version order, the last one that applies decides."""
    inside = False
    for kind, bound in sorted(_bounds(events), key=lambda event: event[1]):
        if kind == "introduced" and version >= bound:
            inside = True
        elif (kind == "fixed" and version >= bound) or (
            kind == "last_affected" and version > bound
        ):
            inside = False
    return inside


def _bounds(events: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, Version]]:
    for event in events:
        for kind, text in event.items():
            try:
                yield kind, Version(str(text))
            except InvalidVersion:
                continue


def main() -> int:
    """0 nothing found, 1 something found, 2 not run."""
    folder = os.environ.get("ADVISORIES", "")
    if not folder or not any(Path(folder).rglob("*.json")):
        print(
            "audit NOT RUN: no advisories; unpack OSV's PyPI export into a folder and run: "
            "make audit ADVISORIES=folder (why: docs/decisions/0004-vulnerability-audit.md)",
            file=sys.stderr,
        )
        return NOT_RUN
    locks = sorted(LOCKS.glob("*.txt"))
    try:
        found = findings(locks, Path(folder))
    except AdvisoryUnreadable as problem:
        print(f"audit NOT RUN: {problem}", file=sys.stderr)
        return NOT_RUN
    for item in found:
        print(f"{item.lock}: {item.distribution} {item.version}: {item.advisory} {item.summary}")
    print(f"{sum(len(_pins(lock)) for lock in locks)} pins compared, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
