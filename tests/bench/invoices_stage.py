"""What the bench of invoices needs around the API's handler: parameters, a secret, the relay's
queue, merchants with fixed rates, and free wallets.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import boto3

from infra.local.migrations import migrate
from infra.local.seed import QUOTAS
from infra.local.stack import Stack
from orion.chains.bitcoin.address import address_of
from orion.chains.bitcoin.network import network_of
from tests.bench.figures import progress

STAGE = "bench"
MERCHANTS = 2_000
COINS: Mapping[str, str] = {"BTC.bitcoin": "60000.00", "ETH.ethereum": "2500.00"}
_RATE_UNITS = {"BTC.bitcoin": 60_000 * 10**12, "ETH.ethereum": 2_500 * 10**12}
_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Stage:
    """What a process must know to serve as the API's function; `engine_pids` is for the bench."""

    environment: Mapping[str, str]
    merchants: Sequence[bytes]
    engine_pids: Sequence[int]


@contextmanager
def stage(bench: str, engines: Sequence[str], wallets: int) -> Iterator[Stage]:
    """Engines of one's own with billing's schema, wallets and merchants; gone at the end."""
    # Open to the database server, which runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="orion-bench-"))
    folder.chmod(0o711)
    stack = Stack(folder / "stack", report=partial(progress, bench))
    try:
        stack.up(engines)
        migrate(stack.mariadb, None)
        yield _prepare(stack, engines, wallets)
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def pinned(found: Stage) -> int:
    """The core of the product; the engines get the others, or the same where there is only one."""
    known = sorted(os.sched_getaffinity(0))
    others = set(known[1:]) or set(known)
    for pid in found.engine_pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), others)
    return known[0]


def _prepare(stack: Stack, engines: Sequence[str], wallets: int) -> Stage:
    """Fill a stack whose engines run and whose schemas are there."""
    _parameters(stack)
    merchants = [number.to_bytes(16, "big") for number in range(1, MERCHANTS + 1)]
    connection = stack.mariadb.connect()
    try:
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO orion_billing.rate (merchant_id, asset, currency, rate_units, set_at)"
                " VALUES (%s, %s, 'EUR', %s, NOW())",
                [(m, code, units) for m in merchants for code, units in _RATE_UNITS.items()],
            )
            cursor.executemany(
                "INSERT INTO orion_billing.merchant_setting (merchant_id, tolerance_bps,"
                " expires_in_s, set_at) VALUES (%s, 50, 1800, NOW())",
                [(m,) for m in merchants],
            )
            numbers = iter(range(wallets))
            while some := list(islice(numbers, _ROWS)):
                cursor.executemany(
                    "INSERT INTO orion_moneyin.wallet (group_no, wallet_index) VALUES (%s, %s)",
                    [divmod(number, 10_000) for number in some],
                )
                cursor.executemany(
                    "INSERT INTO orion_moneyin.address (chain, address, group_no, wallet_index)"
                    " VALUES (%s, %s, %s, %s)",
                    list(_addresses(some)),
                )
                connection.commit()
    finally:
        connection.close()
    environment = {
        **stack.ministack.environment(),
        "ORION_STAGE": STAGE,
        "ORION_MODULE": "billing",
        "ORION_LANE": "standard",
    }
    records = [stack.engine(name).record() for name in engines]
    return Stage(environment, merchants, [found.pid for found in records if found is not None])


def _addresses(numbers: Sequence[int]) -> Iterator[tuple[str, str | None, int, int]]:
    network = network_of("regtest")
    for number in numbers:
        place = divmod(number, 10_000)
        body = (number + 1).to_bytes(20, "big")
        yield "bitcoin", address_of(b"\x00\x14" + body, network), *place
        yield "ethereum", "0x" + body.hex(), *place


def _parameters(stack: Stack) -> None:
    mariadb = stack.mariadb
    database = {"host": mariadb.host, "port": str(mariadb.port), "ca-pem": mariadb.ca_pem}
    values = {
        **{f"mysql/proxy-{name}": value for name, value in database.items()},
        **{f"mysql/writer-{name}": value for name, value in database.items()},
        "api/standard-url": "https://pay.example.com",
        "api/vip-url": "https://vip.example.com",
        "chains/networks": json.dumps({"bitcoin": "regtest", "ethereum": "31337"}),
        "chains/contracts": json.dumps({}),
        "policy/confirmations": json.dumps(
            {"bitcoin": {"settled": 2, "final": 3}, "ethereum": {"settled": 3, "final": 5}}
        ),
        "policy/rate-limits": json.dumps(QUOTAS),
        "keys/service-secrets-arn": "arn:aws:kms:eu-west-1:000000000000:key/of-this-stage",
        "memcached/servers": stack.memcached.servers,
        "webhooks/allowed-private-networks": "none",
    }
    ssm = stack.ministack.client("ssm")
    for name, value in values.items():
        ssm.put_parameter(Name=f"/orion/{STAGE}/{name}", Value=value, Type="String")
    login = mariadb.credentials("billing")
    content = json.dumps({"username": login.username, "password": login.password})
    stack.ministack.client("secretsmanager").create_secret(
        Name=f"orion/{STAGE}/mysql/billing", SecretString=content
    )
    known = stack.ministack.environment()
    session = boto3.Session(
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
        region_name=stack.ministack.region,
    )
    sqs = session.client("sqs", endpoint_url=stack.ministack.url)
    sqs.create_queue(QueueName=f"orion-{STAGE}-outbox-billing")
