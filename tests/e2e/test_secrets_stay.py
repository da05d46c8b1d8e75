"""A known seed is planted in the running stack and used; then everything that the stack wrote is
searched for it and for the keys that follow from it.

Searched: the files of all engines and programs (tables, logs of the database, Kafka's segments,
objects of S3, state of the AWS engine, chains, logs), CloudWatch's logs, the custodians' tables.
"""

import os
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from infra.local import Stack
from infra.local.seed import STAGE
from orion.adapters.aws.seed_vault import KmsSeedVault
from orion.chains.bitcoin.psbt_build import everything_psbt
from orion.chains.spend import CUSTODIANS
from tests.e2e.custody_scene import Signers
from tests.e2e.scene import rows, wait_until
from tests.engine.custodian_scene import encoded
from tests.engine.custody_bitcoin_scene import Chain
from tests.engine.test_kms_signing_secrets import signing_canaries

pytestmark = pytest.mark.e2e
WALLETS = 9
_GREP_TIMEOUT_S = 120
# Copies of our own code that the AWS engine unpacks for each worker: 50 MB each, written by nobody.
_CODE = ("--exclude-dir=python", "--exclude-dir=cdk.out", "--exclude=*.zip")


def planted(stack: Stack, signers: Signers, seed: bytes) -> int:
    """A group whose seed is known: only its row is made here, all else by the functions."""
    [[last]] = rows(stack, "SELECT MAX(group_no) FROM orion_kms.wallet_group")
    group = int(last) + 1
    vault = KmsSeedVault(signers.kms, f"alias/orion/{STAGE}/wallet-seeds", STAGE)
    sealed = vault.seal(group, bytearray(seed))
    connection = stack.mariadb.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orion_kms.wallet_group VALUES (%s, %s, %s, NOW(6))",
            (group, sealed.ciphertext, sealed.key_arn),
        )
        connection.commit()
    return group


def put_to_use(stack: Stack, signers: Signers, group: int) -> None:
    """Chain keys made, wallets told and stored, one swept, and calls that fail half-way."""
    made = signers.ask_plainly("kms-create-group", {"group": group})
    assert made["outcome"] == "ready", made
    told = {"group": group, "first_index": 0, "count": WALLETS}
    assert signers.ask_plainly("kms-address-pool", told)["outcome"] == "derived"
    refused = signers.ask_plainly("kms-address-pool", {**told, "count": 10_001})
    assert refused["outcome"] == "refused"
    stored = f"SELECT address FROM orion_moneyin.address WHERE group_no = {group}"
    wait_until(lambda: len(rows(stack, stored)) == 4 * WALLETS, "the wallets to be stored")
    [[wallet]] = rows(stack, f"{stored} AND chain = 'bitcoin' AND wallet_index = 7")
    [[custody]] = rows(
        stack,
        "SELECT address FROM orion_kms.custody_account"
        f" WHERE group_no = {group} AND chain = 'bitcoin' AND kind = 'hot'",
    )
    coin = Chain(stack.btcd).coin(str(wallet), 50_000)
    for target, outcome in ((str(custody), "signed"), (str(wallet), "refused")):
        unsigned = everything_psbt([coin], target, "regtest", 2_000)
        body = {"group": group, "unsigned": encoded(unsigned), "indexes": [7]}
        assert signers.ask("kms-sweep-bitcoin", body)["outcome"] == outcome


def told_by_aws(stack: Stack, signers: Signers) -> bytes:
    """What lies in the AWS engine's memory: the functions' logs, the custodians' tables."""
    logs, tables = signers.client("logs"), signers.client("dynamodb")
    parts: list[str] = []
    for group in logs.get_paginator("describe_log_groups").paginate().search("logGroups"):
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        parts += [event["message"] for event in pages.search("events") if event]
    for number in range(1, CUSTODIANS + 1):
        parts.append(repr(tables.scan(TableName=f"orion-{STAGE}-custodian-{number}")["Items"]))
    return "\n".join(parts).encode()


def found(folder: Path, wanted: Mapping[str, bytes]) -> set[str]:
    """The names of those forms that some file below `folder` holds."""
    lines = {name: max(form.split(b"\n"), key=len) for name, form in wanted.items()}
    # Half of a key is still no chance; a key has rarely a line end, and then one part is longer.
    assert min(map(len, lines.values())) >= 12
    matched = grepped(folder, lines.values())
    return {name for name, line in lines.items() if line in matched}


def grepped(folder: Path, lines: Iterable[bytes]) -> set[bytes]:
    """Which of these bytes stand in files below `folder`; one pass looks for all of them."""
    words = ["grep", "--recursive", "--text", "--only-matching", "--no-filename", "--fixed-strings"]
    run = subprocess.run(
        [*words, *_CODE, "--file=-", str(folder)],
        input=b"\n".join(lines),
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=_GREP_TIMEOUT_S,
        check=False,
    )
    # 0: found; 1: not found; 2: a file went away meanwhile, or is a socket.
    assert run.returncode in (0, 1, 2)
    return set(run.stdout.split(b"\n"))


def test_a_seed_that_is_used_is_nowhere_in_what_the_stack_wrote(running_stack: Stack) -> None:
    signers, seed = Signers(running_stack), secrets.token_bytes(32)
    group = planted(running_stack, signers, seed)
    put_to_use(running_stack, signers, group)
    wanted = signing_canaries(seed)
    spoken = told_by_aws(running_stack, signers)

    assert f'"group":{group}'.encode() in spoken.replace(b" ", b"")
    assert found(running_stack.var, wanted) == set()
    assert [name for name, form in wanted.items() if form in spoken] == []

    # The positive control: written to a file of the stack, every form is found.
    control = running_stack.var / "logs" / "control.log"
    control.write_bytes(b"\n--\n".join(wanted.values()))
    try:
        assert found(running_stack.var / "logs", wanted) == set(wanted)
    finally:
        control.unlink()
