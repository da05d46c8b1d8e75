"""What a stack's processes hold in memory."""

import os
from collections.abc import Mapping
from pathlib import Path

from infra.local import Stack
from infra.local.failure import StackFailure

_ENGINE_OF_WORKERS = "ministack"


def proportional_bytes(stack: Stack) -> Mapping[str, int]:
    """Proportional set size (PSS of proc_pid_smaps(5)) by engine or program, its children included.

    A page shared by several processes counts in parts, so the sum is the memory in use. The AWS
    engine's workers, in which the functions run, stand apart as `functions`. Raises StackFailure
    where a process of another user cannot be looked into.
    """
    names = {record.pid: name for name, record in stack.processes().items()}
    supervisor = stack.layout.read_record("supervisor").get("pid")
    if isinstance(supervisor, int):
        names[supervisor] = "supervisor"
    found: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            leader = os.getpgid(int(entry.name))
        except ProcessLookupError:
            continue  # Ended while we looked.
        name = names.get(leader)
        if name is None:
            continue
        if name == _ENGINE_OF_WORKERS and int(entry.name) != leader:
            name = "functions"
        found[name] = found.get(name, 0) + _pss_bytes(entry, name)
    return found


def _pss_bytes(process: Path, name: str) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # Ended while we looked.
    except PermissionError as exc:
        mend = "to mend: run the bench as root"
        raise StackFailure(f"the memory of {name} cannot be read; {mend}") from exc
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
