"""A known seed is planted, the real functions run, and all that they wrote is searched for it."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from orion.adapters.aws.seed_vault import KmsSeedVault
from tests.engine.kms_scene import FEE_PAYER, HOT_SET, PURPOSES, WARM_SET, register_sets

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
GROUP, BROKEN_GROUP = 21, 22

# Runs every kms function the way Lambda does and prints what each answered or raised, traceback
# included; locals of all frames too, which is more than any logger of ours writes.
DRIVER = """
import importlib.util, json, sys, traceback
def load(path):
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
for path, event in json.loads(sys.argv[1]):
    try:
        print(json.dumps(load(path).handler(event, None)))
    except Exception as exc:
        print("RAISED", type(exc).__name__)
        traceback.print_exception(exc, file=sys.stdout)
        if len(sys.argv) > 2:
            print("".join(traceback.TracebackException.from_exception(
                exc, capture_locals=True).format()))
"""


def base58check(payload: bytes) -> str:
    body = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(body, "big"), ""
    while number:
        number, value = divmod(number, 58)
        text = LETTERS[value] + text
    return text


def forms(name: str, secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Every way in which these bytes could be written, base 64 at each of its three alignments."""
    yield f"{name} raw", secret
    yield f"{name} hex", secret.hex().encode()
    yield f"{name} HEX", secret.hex().upper().encode()
    yield f"{name} decimal", str(int.from_bytes(secret, "big")).encode()
    yield f"{name} repr", repr(secret)[2:-1].encode()
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + secret)
        inner = whole[4 if shift else 0 : -4]
        yield f"{name} base64 at {shift}", inner
        yield f"{name} base64url at {shift}", inner.replace(b"+", b"-").replace(b"/", b"_")


def canaries(seed: bytes) -> dict[str, bytes]:
    """The seed, its master keys and all accounts' private keys, made without the product."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    mixed = hmac.digest(b"Bitcoin seed", seed, "sha512")
    found = dict(forms("seed", seed)) | dict(forms("master key", mixed[:32]))
    root = bytes(9) + mixed[32:] + b"\0" + mixed[:32]
    found["master xprv"] = base58check(bytes.fromhex("0488ade4") + root).encode()
    found["master tprv"] = base58check(bytes.fromhex("04358394") + root).encode()
    for name, purpose, coin, account in (
        ("bitcoin account", 84, 1, 0),
        ("ethereum account", 44, 60, 0),
        ("tron account", 44, 195, 0),
        ("tron custody account", 44, 195, 1),
    ):
        key, chain = mixed[:32], mixed[32:]
        for index in (purpose, coin, account):
            number = (index | 1 << 31).to_bytes(4, "big")
            child = hmac.digest(chain, b"\0" + key + number, "sha512")
            total = int.from_bytes(child[:32], "big") + int.from_bytes(key, "big")
            key, chain = (total % order).to_bytes(32, "big"), child[32:]
        found |= dict(forms(name, key)) | dict(forms(f"{name}'s chain code", chain))
    return found | solana_canaries(seed)


def solana_canaries(seed: bytes) -> dict[str, bytes]:
    """Every private key from the seed's Ed25519 root to the first wallet's Solana account."""
    mixed = hmac.digest(b"ed25519 seed", seed, "sha512")
    found = dict(forms("ed25519 m", mixed[:32]))
    for depth, index in enumerate((44, 501, 0, 0), start=1):
        number = (index | 1 << 31).to_bytes(4, "big")
        mixed = hmac.digest(mixed[32:], b"\0" + mixed[:32] + number, "sha512")
        found |= dict(forms(f"ed25519 depth {depth}", mixed[:32]))
    return found


def search(places: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> list[str]:
    return [
        f"{what} in {place}"
        for place, text in places.items()
        for what, form in wanted.items()
        if form in text
    ]


def database_dump(mysql_admin: Any) -> bytes:
    connection = mysql_admin.connect()
    parts: list[bytes] = []
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables"
                       " WHERE table_schema = 'orion_kms'")  # fmt: skip
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT * FROM orion_kms.{table}")
            values = [value for row in cursor.fetchall() for value in row]
            parts += [v if isinstance(v, bytes) else str(v).encode() for v in values]
    return b"\n".join(parts)


def kafka_event(body: object) -> Mapping[str, object]:
    value = base64.b64encode(json.dumps(body).encode()).decode()
    row = {"topic": "wallet.requests", "partition": 9, "offset": secrets.randbelow(2**40),
           "timestamp": 0, "timestampType": "CREATE_TIME", "key": "MA==", "value": value,
           "headers": []}  # fmt: skip
    return {"eventSource": "aws:kafka", "records": {"wallet.requests-9": [row]}}


@pytest.fixture
def deployment(aws_engine: Any, mysql_admin: Any) -> Mapping[str, str]:
    """A stage with what the kms functions read: parameters, a secret, a key, a queue."""
    environment = dict(aws_engine.environment())
    stage = f"c{secrets.token_hex(4)}"

    session: Any = boto3.Session(
        region_name=aws_engine.region,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=aws_engine.url)

    kms, ssm = client("kms"), client("ssm")
    for purpose in PURPOSES:
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=f"alias/orion/{stage}/{purpose}", TargetKeyId=key)
    register(mysql_admin)
    parameters = {
        "mysql/proxy-host": mysql_admin.host,
        "mysql/proxy-port": str(mysql_admin.port),
        "mysql/writer-ca-pem": mysql_admin.ca_pem,
        "mysql/proxy-ca-pem": mysql_admin.ca_pem,
        "chains/networks": json.dumps(
            {"bitcoin": "regtest", "ethereum": "31337", "tron": "private", "solana": "localnet"}
        ),
        "custody/groups": json.dumps(
            [{"first_group": 0, "last_group": 2**31 - 1, "hot": HOT_SET, "warm": WARM_SET}]
        ),
        "custody/solana-fee-payer": FEE_PAYER,
    }
    for name, value in parameters.items():
        ssm.put_parameter(Name=f"/orion/{stage}/{name}", Value=value, Type="String")
    login = mysql_admin.credentials("kms")
    client("secretsmanager").create_secret(
        Name=f"orion/{stage}/mysql/kms",
        SecretString=json.dumps({"username": login.username, "password": login.password}),
    )
    client("sqs").create_queue(QueueName=f"orion-{stage}-outbox-kms")
    return {
        **environment,
        "ORION_STAGE": stage,
        "ORION_LOG_LEVEL": "DEBUG",
        "PYTHONPATH": str(ROOT / "layers/orion/python"),
        "PATH": os.environ["PATH"],
    }


def register(mysql_admin: Any) -> None:
    connection = mysql_admin.connect()
    with connection, connection.cursor() as cursor:
        register_sets(cursor)
        connection.commit()


def run(deployment: Mapping[str, str], calls: list[tuple[str, object]]) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(calls)],
        cwd=ROOT,
        env=dict(deployment),
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=100,
    )
    return done.stdout


def plant(
    deployment: Mapping[str, str], aws_engine: Any, mysql_admin: Any, group: int, seed: bytes
) -> None:
    kms = boto3.client(
        "kms",
        endpoint_url=aws_engine.url,
        region_name=aws_engine.region,
        aws_access_key_id=deployment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=deployment["AWS_SECRET_ACCESS_KEY"],
    )
    stage = deployment["ORION_STAGE"]
    vault = KmsSeedVault(kms, f"alias/orion/{stage}/wallet-seeds", stage)
    # The broken group's row holds the seed bound to another group: its opening fails half-way.
    sealed = vault.seal(GROUP, bytearray(seed))
    connection = mysql_admin.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "REPLACE INTO orion_kms.wallet_group VALUES (%s, %s, %s, NOW(6))",
            (group, sealed.ciphertext, sealed.key_arn),
        )
        connection.commit()


def test_no_seed_or_key_leaves_the_kms_functions(
    deployment: Mapping[str, str], aws_engine: Any, mysql_admin: Any
) -> None:
    seed = secrets.token_bytes(32)
    plant(deployment, aws_engine, mysql_admin, GROUP, seed)
    plant(deployment, aws_engine, mysql_admin, BROKEN_GROUP, seed)
    pool, create = "functions/kms/address_pool.py", "functions/kms/create_group.py"
    extend = {"v": 1, "trace_id": "ef" * 16, "kind": "extend_pool", "first_index": 500, "count": 9}
    output = run(
        deployment,
        [
            (create, {"group": GROUP}),
            (create, {"group": "x"}),
            (pool, {"group": GROUP, "first_index": 0, "count": 600}),
            (pool, {"group": GROUP, "first_index": 0, "count": 10_001}),
            (pool, {"group": BROKEN_GROUP, "first_index": 0, "count": 1}),
            (pool, kafka_event({**extend, "group": GROUP})),
            (pool, kafka_event({**extend, "group": BROKEN_GROUP})),
            (pool, kafka_event({**extend, "group": 2_000_000})),
            (create, kafka_event({**extend, "group": BROKEN_GROUP})),
            (create, kafka_event({**extend, "group": 2_000_000})),
        ],
    )
    dump = database_dump(mysql_admin)

    # The functions did their work, well and badly: otherwise there was nothing to find.
    assert output.count(b'"outcome": "derived"') == 1
    assert output.count(b'"outcome": "ready"') == 1
    for sign in (b"malformed_request", b"index_out_of_range", b"RAISED SeedRefused"):
        assert sign in output
    assert b"RAISED GroupNotFound" in output
    assert b'{"made": 1}' in output
    assert b"RAISED GroupOutOfTurn" in output
    assert b'"index":599' in dump
    assert dump.count(b'"solana":"') == dump.count(b'"tron":"') == 609

    places = {"logs and answers": output, "database and outbox": dump}
    wanted = canaries(seed)
    assert search(places, wanted) == []

    # The positive control: the search finds every form in every place, in the midst of other text.
    for what, form in wanted.items():
        for place, text in places.items():
            half = len(text) // 2
            planted = {place: text[:half] + form + text[half:]}
            assert f"{what} in {place}" in search(planted, {what: form})


def test_a_fresh_group_is_created_by_the_function_and_its_range_is_repeatable(
    deployment: Mapping[str, str],
) -> None:
    group = 1_000_000 + secrets.randbelow(1_000_000)
    call = ("functions/kms/address_pool.py", {"group": group, "first_index": 0, "count": 5})
    create = ("functions/kms/create_group.py", {"group": group})
    answers = [
        json.loads(line)
        for line in run(deployment, [call, create, create, call, call]).splitlines()
        if line.startswith(b'{"outcome"')
    ]

    assert answers[0]["code"] == "wallet_group_not_found"
    assert answers[1] == answers[2]
    assert answers[1]["outcome"] == "ready"
    assert answers[3] == answers[4]
    assert (answers[3]["outcome"], answers[3]["count"], answers[3]["records"]) == ("derived", 5, 1)
