"""The command `orion` in the clone's .venv/bin."""

import os
from pathlib import Path

from infra.setup.cache import SetupFailed, locked

# The environment lies in a cache that clones share, so the clone is the one by whose .venv this was
# called: `cd` takes the way that was written, not where the link leads. -P: what lies in the
# operator's present folder is not imported.
_PROGRAM = """\
#!/bin/sh
root=$(cd -L "${0%/*}/../.." && pwd -L) || exit 2
if [ ! -d "$root/clients/operator" ]; then
    echo "orion: call it as .venv/bin/orion of a clone" >&2
    exit 2
fi
export PYTHONPATH="$root:$root/layers/orion/python"
exec "$root/.venv/bin/python" -P -m clients.operator "$@"
"""


def install(environment: Path) -> None:
    """Put the command into the environment. The same for every clone, so the first one's stays."""
    program = environment / "bin" / "orion"
    try:
        if program.is_file() and program.read_text() == _PROGRAM:
            return
        with locked("operator-command"):
            fresh = program.with_name(".orion-fresh")
            fresh.write_text(_PROGRAM)
            fresh.chmod(0o755)
            os.replace(fresh, program)  # noqa: PTH105 - Atomic: a call under way keeps the old one.
    except OSError as exc:
        raise SetupFailed(
            f"orion: {program} cannot be written ({exc.strerror})",
            "make the cache folder writable and run: make setup",
        ) from exc
