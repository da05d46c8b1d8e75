"""How many signatures a second one custodian gives, and what bare KMS calls would give.

The custodian does all of its work for each payout on Ethereum: it reads the request, verifies the
evidence, decodes the Safe transaction, records the decision in one DynamoDB transaction, has KMS
sign and stores the signature. The reference asks KMS for as many signatures over digests and does
nothing else. Both use the local AWS engine, whose KMS and DynamoDB are one Python process: it, not
the custodian, sets the pace. Batches of the two alternate, so that both see the same machine; the
median counts. The custodian's own time is measured apart, in processor time of its process.

Run: `make bench BENCH=custodians`.
"""

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from infra.local.stack import Stack
from orion.chains.ethereum.safe_proposals import propose_payments
from orion.chains.spend import CustodyPlace, Payment, WalletKind, custody
from tests.bench.figures import Figure, progress
from tests.engine.custodian_scene import (
    NETWORKS,
    Aws,
    Body,
    Custodians,
    Issuers,
    payout,
    sign_request,
)

ROUNDS = 7
BATCH = 60
SHOP, ETH = "0x" + "5a" * 20, "ETH.ethereum"


def requests(custodians: Custodians, first_nonce: int) -> Sequence[Body]:
    """BATCH payouts, each with a nonce, an instruction and evidence of its own."""
    place = CustodyPlace("ethereum", NETWORKS["ethereum"], 7, WalletKind.HOT, 1)
    account = custody("ethereum").account(place, custodians.sets[1].keys, "")
    made = []
    for nonce in range(first_nonce, first_nonce + BATCH):
        unsigned = propose_payments(account, nonce, [Payment(ETH, SHOP, 5)], {})
        asked = custodians.issuers.asked(payout("ethereum", ETH, SHOP, 5, account=account.address))
        made.append(sign_request(unsigned, [asked]))
    return made


def timed(jobs: Sequence[Callable[[], object]], threads: int) -> tuple[float, float]:
    """Jobs a second by the clock, and processor seconds of this process for one job."""
    started, worked = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()
    taken, used = time.perf_counter() - started, time.process_time() - worked
    return len(jobs) / taken, used / len(jobs)


def measured(aws: Aws, threads: int) -> tuple[float, float, float, float]:
    """Medians: custodian and bare rates, custodian and bare processor seconds for one signature."""
    custodians = Custodians(aws, Issuers()).enrolled()
    service = custodians.services[1]
    alias = f"alias/orion/{custodians.stage}/custodian-1/set-1/secp256k1"

    def bare() -> object:
        return aws.kms.sign(
            KeyId=alias,
            Message=secrets.token_bytes(32),
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )

    rows = []
    for turn in range(ROUNDS + 1):
        asked = requests(custodians, turn * BATCH)
        ours = timed([partial(service.sign, each) for each in asked], threads)
        rows.append((*ours, *timed([bare] * BATCH, threads)))
    # The first round warms both.
    our_rate, our_work, bare_rate, bare_work = zip(*rows[1:], strict=True)
    return (
        statistics.median(our_rate),
        statistics.median(bare_rate),
        statistics.median(our_work),
        statistics.median(bare_work),
    )


def main() -> None:
    """Measure and print two figures for one caller and for several at once."""
    with tempfile.TemporaryDirectory(prefix="orion-bench-") as folder:
        Path(folder).chmod(0o711)
        stack = Stack(Path(folder) / "stack")
        try:
            stack.start("ministack")
            for threads in (1, 4):
                case = f"one custodian, payouts on Ethereum, {threads} at a time"
                progress("custodians", f"{case}: {ROUNDS} rounds of {BATCH}")
                ours, bare, our_work, bare_work = measured(Aws(stack.ministack), threads)
                said = "bare KMS Sign calls, same run"
                Figure("custodians", case, "signatures_per_s", ours, "1/s", bare, said).show()
                Figure(
                    "custodians",
                    f"{case}, processor time",
                    "own_ms",
                    our_work * 1_000,
                    "ms",
                    bare_work * 1_000,
                    said,
                ).show()
        finally:
            stack.down()


if __name__ == "__main__":
    main()
