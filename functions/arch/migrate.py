"""Run on every deployment, before anything else: schemas, migrations, users and rights."""

import os
from collections.abc import Mapping
from pathlib import Path

from orion.runtime import arch

# The function's asset carries the migrations beside this file.
FOLDER = Path(os.environ.get("ORION_MIGRATIONS") or Path(__file__).parent / "migrations")


def handler(event: Mapping[str, object], context: object) -> dict[str, object]:
    return arch.summary(arch.run(FOLDER))
