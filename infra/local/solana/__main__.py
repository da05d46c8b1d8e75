"""`python -m infra.local.solana --data FOLDER --port PORT`: the server, in the foreground."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from infra.local.solana.chain import Chain
from infra.local.solana.journal import JournalDamaged, JournalTaken
from infra.local.solana.server import serve
from infra.local.solana.state import Depths


def main() -> int:
    """Exit code 0 after a stop, 1 when the data folder cannot be used."""
    parser = argparse.ArgumentParser(prog="infra.local.solana")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--slot-ms", type=int, default=0, help="of a new chain; 0: slots close on request only"
    )
    parser.add_argument("--confirmed", type=int, default=Depths().confirmed)
    parser.add_argument("--finalized", type=int, default=Depths().finalized)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    try:
        depths = Depths(given.confirmed, given.finalized)
        chain = Chain(given.data, depths, interval_ms=given.slot_ms)
    except (JournalDamaged, JournalTaken, ValueError) as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return 1
    try:
        asyncio.run(serve(chain, given.port))
    finally:
        chain.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
