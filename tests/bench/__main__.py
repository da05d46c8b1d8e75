"""`python -m tests.bench [NAME]`: measure all that takes minutes, or one; JSON Lines on stdout,
progress on stderr.
"""

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import cast

from demos.first_light.merchant import StoryFailure
from infra.local.failure import StackFailure
from tests.bench.figures import machine, progress

# In the order of a full run: seconds first, the whole stack last.
BENCHES: Mapping[str, str] = MappingProxyType(
    {
        "agent_decode": "tests.bench.agent_decode",
        "wallets": "tests.bench.wallets",
        "custodians": "tests.bench.custodians",
        "ledger_tables": "tests.bench.ledger_tables",
        "ledger": "tests.bench.ledger",
        "statements": "tests.bench.statements",
        "reconciliation": "tests.bench.reconciliation",
        "invoices": "tests.bench.invoices",
        "webhooks": "tests.bench.webhooks",
        "status": "tests.bench.status",
        "first_light": "tests.bench.first_light",
        "start": "tests.bench.start",
        "million": "tests.bench.million",
        "chaos": "tests.bench.chaos",
    }
)
# May take ten minutes each: a run of all leaves them out.
ONLY_BY_NAME = frozenset({"million", "chaos"})


def measure(name: str) -> None:
    """Run the `main` of one bench."""
    progress(name, machine())
    cast(Callable[[], None], import_module(BENCHES[name]).main)()
    progress(name, f"done; {machine()}")


def main(arguments: Sequence[str]) -> int:
    """0 when measured, 1 when the system did not do what is measured, 2 for a name that is none."""
    unknown = [name for name in arguments if name not in BENCHES]
    if unknown or len(arguments) > 1:
        asked = " ".join(unknown or arguments)
        print(f"no bench {asked}; name one of: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    # A bench that is told to end stops the engines that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for name in arguments or (each for each in BENCHES if each not in ONLY_BY_NAME):
            measure(name)
    except (StackFailure, StoryFailure) as exc:
        print(f"not measured: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
