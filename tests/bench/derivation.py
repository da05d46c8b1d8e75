"""How many wallets a second one core derives: Bitcoin and Ethereum address each, from a seed.

The reference does the bare primitives of the same wallets in the same run: two HMAC-SHA-512, two
tweaks of libsecp256k1, SHA-256, RIPEMD-160 and Keccak-256, without addresses as text. Rounds of the
two alternate, so that both see the same machine; the median counts. Ranges are 1,000 wallets, as in
production, each beginning from the seed.

Run: `make bench BENCH=derivation`.
"""

import hashlib
import hmac
import secrets
import statistics
import time
from collections.abc import Callable

from coincurve import PublicKey

from orion.chains.ethereum.keccak import keccak256
from orion.kms.keys.branches import branches
from orion.wallet.addresses import MAX_RANGE, WalletRange, addresses
from tests.bench.figures import Figure, progress

ROUNDS = 15
SEED = secrets.token_bytes(32)


def derived(first_index: int) -> int:
    """One production range; how many wallets it had."""
    public = branches(SEED, "regtest")
    return sum(1 for _ in addresses(public, WalletRange(first_index, MAX_RANGE)))


def primitives(first_index: int) -> int:
    """The same count of bare calls, on any parent key."""
    parent = PublicKey.from_secret(SEED)
    compressed = parent.format()
    for index in range(first_index, first_index + MAX_RANGE):
        data = compressed + index.to_bytes(4, "big")
        bitcoin = parent.add(hmac.digest(SEED, data, "sha512")[:32]).format()
        hashlib.new("ripemd160", hashlib.sha256(bitcoin).digest()).digest()
        ethereum = parent.add(hmac.digest(SEED, data, "sha512")[:32]).format(compressed=False)
        keccak256(ethereum[1:])
    return MAX_RANGE


def rate(work: Callable[[int], int], first_index: int) -> float:
    """Wallets a second of processor time, which other processes do not change."""
    started = time.process_time()
    count = work(first_index)
    return count / (time.process_time() - started)


def main() -> None:
    """Measure and print one figure."""
    ours: list[float] = []
    reference: list[float] = []
    for turn in range(ROUNDS + 1):
        first_index = turn % 9 * MAX_RANGE
        pair = rate(derived, first_index), rate(primitives, first_index)
        if turn:  # The first round warms both.
            ours.append(pair[0])
            reference.append(pair[1])
        progress("derivation", f"round {turn} of {ROUNDS}")
    Figure(
        "derivation",
        "bitcoin and ethereum, ranges of 1,000, one core, processor time",
        "wallets_per_s",
        statistics.median(ours),
        "1/s",
        statistics.median(reference),
        "bare tweak and hash calls for as many wallets, same run",
    ).show()
