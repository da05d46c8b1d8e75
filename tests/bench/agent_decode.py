"""How fast an agent turns a node's answer into the records of a block event, one core.

Real mainnet blocks. Bitcoin's reference is SHA-256 twice over the same bytes: whoever checks a
block hashes all of it once at least (we hash every transaction and the tree above them).
Ethereum's reference is `json.loads` of the same answer, which every client pays before it decodes
anything; our figure does not contain it. Rounds of both alternate in one run; the median counts.

Run: `make bench BENCH=agent_decode`.
"""

import gzip
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from node_stacks.agent.events import Source, connected, new_trace_id
from orion.chains import Block, bitcoin, ethereum
from orion.chains.bitcoin.hashing import sha256d
from tests.bench.figures import Figure, progress

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
        Figure(
            "agent_decode",
            f"{case.name}, {len(block.transfers)} transfers",
            metric,
            value,
            "1/s",
            base,
            case.reference_is,
        ).show()
    Figure(
        "agent_decode",
        case.name,
        "transfers_per_s",
        len(block.transfers) / per_block,
        "1/s",
        len(block.transfers) * base,
        f"as many transfers in the time of {case.reference_is}",
    ).show()


def main() -> None:
    """Measure every block."""
    for case in cases():
        progress("agent_decode", case.name)
        measure(case)
