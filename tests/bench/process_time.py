"""Processor time of an engine's process."""

import os
from pathlib import Path

from infra.local.mariadb import MariaDb

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def server_seconds(mariadb: MariaDb) -> float:
    """User and system time that the server has used so far (proc_pid_stat(5), fields 14 and 15)."""
    pid = int((mariadb.data / "mariadb.pid").read_text())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
