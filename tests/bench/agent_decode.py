"""How fast an agent turns a node's answer into the records of a block event, one core.

Real mainnet blocks. Bitcoin's reference is SHA-256 twice over the same bytes: whoever checks a
block hashes all of it once at least (we hash every transaction and the tree above them).
Ethereum's reference is `json.loads` of the same answer, which every client pays before it decodes
anything; our figure does not contain it. Rounds of both alternate in one run; the median counts.

Run: `python tests/bench/agent_decode.py`.
"""

import gzip
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from node_stacks.agent.events import Source, connected, new_trace_id
from orion.chains import Block, bitcoin, ethereum
from orion.chains.bitcoin.hashing import sha256d

ROUNDS = 15
BLOCKS = Path(__file__).parents[1] / "data/blocks"


@dataclass(frozen=True, slots=True)
class Case:
    """`decode` and `reference` do their work on one block once."""

    name: str
    decode: Callable[[], Block]
    reference: Callable[[], object]
    reference_is: str


def cases() -> list[Case]:
    """One for each real block."""
    found = []
    for height in (426_884, 928_848):
        raw = (BLOCKS / f"bitcoin-{height}.raw").read_bytes()
        found.append(
            Case(
                f"bitcoin {height}, {len(raw)} bytes",
                partial(bitcoin.decode_block, raw, height, "mainnet"),
                partial(sha256d, raw),
                "sha256d of the same bytes, same run",
            )
        )
    for height in (15_753_009, 16_899_757):
        text = gzip.decompress((BLOCKS / f"ethereum-{height}.json.gz").read_bytes())
        row = json.loads(text)
        found.append(
            Case(
                f"ethereum {height}, {len(text)} bytes, no traces",
                partial(ethereum.decode_block, row["block"], row["receipts"], None),
                partial(json.loads, text),
                "json.loads of the same answer, same run",
            )
        )
    return found


def seconds(work: Callable[[], object]) -> float:
    """Processor time, which other processes do not change."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(case: Case) -> None:
    """Print the figures of one block."""
    source = Source(case.name.split(" ", 1)[0], "mainnet", "bench-1")
    decode: list[float] = []
    encode: list[float] = []
    reference: list[float] = []
    block = case.decode()
    for _ in range(ROUNDS):
        decode.append(seconds(case.decode))
        encode.append(seconds(lambda: connected(source, block, new_trace_id())))
        reference.append(seconds(case.reference))
    per_block = statistics.median(decode)
    base = 1 / statistics.median(reference)
    figures = (
        ("decode_blocks_per_s", 1 / per_block),
        ("decode_and_write_blocks_per_s", 1 / (per_block + statistics.median(encode))),
    )
    for metric, value in figures:
        report = {
            "bench": "agent_decode",
            "case": f"{case.name}, {len(block.transfers)} transfers",
            "metric": metric,
            "value": round(value, 1),
            "unit": "1/s",
            "reference": round(base, 1),
            "reference_is": case.reference_is,
            "ratio": round(value / base, 4),
        }
        sys.stdout.write(json.dumps(report) + "\n")
    transfers = {
        "bench": "agent_decode",
        "case": case.name,
        "metric": "transfers_per_s",
        "value": round(len(block.transfers) / per_block),
        "unit": "1/s",
        "reference": round(len(block.transfers) * base),
        "reference_is": f"as many transfers in the time of {case.reference_is}",
        "ratio": round(1 / per_block / base, 4),
    }
    sys.stdout.write(json.dumps(transfers) + "\n")


def main() -> None:
    """Measure every block."""
    for case in cases():
        sys.stderr.write(f"[agent_decode] {case.name}\n")
        measure(case)


if __name__ == "__main__":
    main()
