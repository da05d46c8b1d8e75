"""How many wallets a second are derived from a seed: with two addresses each and with four, by one
process and by two at the same time.

Two references of the same run. One is the rate at which libsecp256k1 alone tweaks public keys; a
wallet with four addresses needs three tweaks and an Ed25519 key. The other does the bare primitives
of as many wallets: for Bitcoin, Ethereum and Tron an HMAC-SHA-512 and a tweak each, SHA-256 and
RIPEMD-160 or Keccak-256; for Solana two HMAC-SHA-512 and an Ed25519 public key; no addresses as
text. Rounds of the three alternate, so that all see the same machine; the median counts. Ranges are
1,000 wallets, as in production, each beginning from the seed. Time is processor time, which other
processes do not change; two processes' rates are added, and slow each other down where they share
caches and memory. Goal: 10,000 wallets a second with four addresses each, on two cores.

Run: `make bench BENCH=wallets`.
"""

import hashlib
import hmac
import multiprocessing
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import Pool

from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orion.chains.ethereum.keccak import keccak256
from orion.kms.keys.branches import wallet_keys
from orion.wallet.addresses import MAX_RANGE, WalletRange, addresses
from tests.bench.figures import Figure, progress

NAME = "wallets"
ROUNDS = 11
ROUND_LIMIT_S = 120
SEED = secrets.token_bytes(32)
TWO = {"bitcoin": "regtest", "ethereum": "31337"}
FOUR = {**TWO, "tron": "private", "solana": "localnet"}


REFERENCES = (
    "bare tweaks of libsecp256k1 through coincurve, same run",
    "bare tweak, hash and Ed25519 calls for as many wallets, same run",
)


@dataclass(frozen=True, slots=True)
class Case:
    """`processes` at once derive the chains of `networks`."""

    name: str
    networks: Mapping[str, str]
    processes: int


CASES = (
    Case("bitcoin and ethereum, ranges of 1,000, one process", TWO, 1),
    Case("four chains, ranges of 1,000, one process", FOUR, 1),
    Case("four chains, ranges of 1,000, two processes", FOUR, 2),
)


def derived(networks: Mapping[str, str], first_index: int) -> None:
    """One production range."""
    keys = wallet_keys(SEED, networks, WalletRange(first_index, MAX_RANGE))
    for _ in addresses(keys):
        pass


def primitives(networks: Mapping[str, str], first_index: int) -> None:
    """The bare calls of as many wallets, on any parent key."""
    parent = PublicKey.from_secret(SEED)
    compressed = parent.format()
    for index in range(first_index, first_index + MAX_RANGE):
        data = compressed + index.to_bytes(4, "big")
        bitcoin = parent.add(hmac.digest(SEED, data, "sha512")[:32]).format()
        hashlib.new("ripemd160", hashlib.sha256(bitcoin).digest()).digest()
        for chain in ("ethereum", "tron"):
            if chain in networks:
                point = parent.add(hmac.digest(SEED, data, "sha512")[:32])
                keccak256(point.format(compressed=False)[1:])
        if "solana" in networks:
            account = hmac.digest(SEED, b"\0" + data, "sha512")
            secret = hmac.digest(account[32:], b"\0" + data, "sha512")[:32]
            Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def tweaks(_networks: Mapping[str, str], first_index: int) -> None:
    """As many tweaks of a public key by 32 bytes, and nothing else."""
    parent = PublicKey.from_secret(SEED)
    tweak = hashlib.sha256(SEED + first_index.to_bytes(4, "big")).digest()
    for _ in range(MAX_RANGE):
        parent.add(tweak)


def rate(
    work: Callable[[Mapping[str, str], int], None], networks: Mapping[str, str], first: int
) -> float:
    """Wallets, or tweaks, a second of processor time."""
    started = time.process_time()
    work(networks, first)
    return MAX_RANGE / (time.process_time() - started)


def rates(networks: Mapping[str, str]) -> Sequence[float]:
    """Medians of this process: derived wallets, tweaks, and bare calls for as many wallets."""
    works = (derived, tweaks, primitives)
    rounds = [
        [rate(work, networks, first) for work in works]
        for first in (turn % 9 * MAX_RANGE for turn in range(ROUNDS + 1))
    ][1:]  # The first round warms all.
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def measured(case: Case, pool: Pool) -> Sequence[float]:
    """The rates of a case, summed over its processes, which run at the same time."""
    waiting = [pool.apply_async(rates, (case.networks,)) for _ in range(case.processes)]
    found = [answer.get(timeout=ROUND_LIMIT_S) for answer in waiting]
    return [sum(column) for column in zip(*found, strict=True)]


def main() -> None:
    """Measure and print one figure a case."""
    for case in CASES:
        progress(NAME, f"{case.name}: {ROUNDS} rounds")
        with multiprocessing.get_context("spawn").Pool(case.processes) as pool:
            ours, *references = measured(case, pool)
        for reference, what in zip(references, REFERENCES, strict=True):
            Figure(
                NAME,
                f"{case.name}, processor time",
                "wallets_per_s",
                ours,
                "1/s",
                reference,
                what,
            ).show()


if __name__ == "__main__":
    main()
