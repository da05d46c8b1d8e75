"""A stack that lived, what is left of it, and a new one that has only that."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local.migrations import migrate
from infra.local.stack import Stack
from orion.adapters.aws.kms_signer import KmsCustodianSigner
from orion.adapters.aws.seed_vault import KmsSeedVault
from orion.adapters.mysql.kms_groups import MySqlGroupStore
from orion.adapters.mysql.kms_signing import MySqlSetStore
from orion.chains.bitcoin.address import parse_address
from orion.chains.bitcoin.encode import transaction_bytes
from orion.chains.bitcoin.psbt_build import Coin, Recipient, payment_psbt
from orion.chains.bitcoin.wire import TxInput, TxOutput
from orion.chains.spend import Curve, CustodyAccount, CustodyPlace, WalletKind, custody
from orion.chains.tron import building
from orion.chains.tron.raw_data import Frame
from orion.kms.custody.errors import ConflictRefused
from orion.kms.groups import CustodyPlan, CustodyRow, CustodySet
from orion.kms.model import PoolRequest
from orion.kms.signing.model import ExecutionRequest, ExportRequest
from orion.kms.signing.sets import CustodyExport
from orion.wallet.addresses import WalletRange
from tests.engine import kms_signing_scene as scene
from tests.engine import kms_signing_transactions as transactions
from tests.engine.custodian_scene import (
    Aws,
    Body,
    Custodians,
    Issuers,
    payout,
    sign_request,
)
from tests.engine.kms_scene import connected, outbox
from tests.engine.kms_signing_scene import NETWORKS, TRACE, Stage

GROUPS = (7, 8)
GROUP = 7
PLAN = CustodyPlan((CustodyRow(0, 99, 1, 2),), scene.FEE_PAYER)
SHOP = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
OTHER_SHOP = transactions.wallet(bytes(32), 3)["bitcoin"]
FIRST_INDEX, WALLETS = 100, 40


@dataclass(frozen=True)
class Backup:
    """All that is left: KMS with its keys, rows of `orion_kms` by table, items by DynamoDB table.
    The stack that it was taken from is gone.
    """

    kms_state: bytes
    rows: Mapping[str, Sequence[tuple[Any, ...]]]
    columns: Mapping[str, Sequence[str]]
    items: Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass
class Before:
    """What the lost stack did, to compare with."""

    addresses: Sequence[Mapping[str, object]]
    sweeps: Mapping[str, bytes]
    export: Sequence[Mapping[str, object]]
    carried: bytes
    executed: bytes
    signed: Mapping[str, Mapping[int, tuple[bytes, ...]]]
    requests: Mapping[str, Body]
    seeds: Mapping[int, bytes]
    custodians: Custodians
    accounts: Mapping[str, CustodyAccount]


def tables_of(database: Any) -> list[str]:
    """Every table of the schema but the list of applied migrations, which a new one has itself."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'orion_kms'"
        )
        found = sorted(str(name) for (name,) in cursor.fetchall())
    return [name for name in found if "migration" not in name]


def backup_of(stack: Stack, stage: Stage, custodians: Custodians) -> Backup:
    """Taken while the stack runs, but for KMS, whose keys are the only thing that outlives it."""
    rows, columns = {}, {}
    with stage.database.transaction() as cursor:
        for table in tables_of(stage.database):
            cursor.execute(f"SELECT * FROM {table}")
            rows[table] = list(cursor.fetchall())
            columns[table] = [str(column[0]) for column in cursor.description or ()]
    items = {
        name: custodians.aws.dynamodb.scan(TableName=name, ConsistentRead=True)["Items"]
        for name in custodians.tables.values()
    }
    stage.database.close()
    stack.down()
    return Backup((stack.ministack.data / "state" / "kms.json").read_bytes(), rows, columns, items)


def restored(backup: Backup, folder: Path) -> Stack:
    """A new stack with the keys and the rows; its custodians' tables are still to come."""
    stack = Stack(folder)
    state = stack.ministack.data / "state"
    state.mkdir(parents=True)
    (state / "kms.json").write_bytes(backup.kms_state)
    stack.up(("ministack", "mariadb"))
    migrate(stack.mariadb, None)
    database = connected(stack.mariadb)
    with database.transaction() as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        for table in tables_of(database):
            # Whatever the new schema was born with gives way to the backup.
            cursor.execute(f"DELETE FROM {table}")
            names = ",".join(backup.columns[table])
            marks = ",".join(["%s"] * len(backup.columns[table]))
            for row in backup.rows[table]:
                cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)
        cursor.execute("SET foreign_key_checks = 1")
    database.close()
    return stack


def tables_restored(backup: Backup, custodians: Custodians, aws: Aws) -> None:
    """The custodians' tables under their old names, with all their items."""
    for name, items in backup.items.items():
        make_table(aws, name)
        for item in items:
            aws.dynamodb.put_item(TableName=name, Item=dict(item))
    assert set(backup.items) == set(custodians.tables.values())


def make_table(aws: Aws, name: str) -> None:
    aws.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
    )


def new_processes(custodians: Custodians, aws: Aws, tables: Mapping[int, str]) -> Custodians:
    """The same deployment of custodians, started anew over other engines."""
    again = object.__new__(Custodians)
    again.aws, again.issuers = aws, custodians.issuers
    again.stage, again.settings_text = custodians.stage, custodians.settings_text
    again.numbers, again.tables = custodians.numbers, dict(tables)
    again.sets = custodians.sets
    again.services = {number: again.service(number) for number in again.numbers}
    return again


def coin_of(account: CustodyAccount) -> Coin:
    """An output that pays the account, the same each time."""
    script = parse_address(account.address, "regtest").script
    inputs = [TxInput(hashlib.sha256(b"paid").digest(), 0, b"", 0xFFFFFFFD)]
    return Coin(transaction_bytes(2, inputs, [TxOutput(500_000, script)], 0), 0)


def bitcoin_request(issuers: Issuers, account: CustodyAccount, shop: str, **more: object) -> Body:
    said = {"fee_max_units": "900", "account": account.address, **more}
    instruction = payout("bitcoin", "BTC.bitcoin", shop, 9_000, **said)
    unsigned = payment_psbt(account, [coin_of(account)], [Recipient(shop, 9_000)], 500)
    return sign_request(unsigned, [issuers.asked(instruction)])


def bumped(request: Body, account: CustodyAccount) -> Body:
    """The same payout with a higher fee, out of the same coin."""
    unsigned = payment_psbt(account, [coin_of(account)], [Recipient(SHOP, 9_000)], 800)
    return {**request, "unsigned": sign_request(unsigned, [])["unsigned"]}


def tron_request(
    issuers: Issuers, account: CustodyAccount, *, minute: int = 0, instruction: Body | None = None
) -> Body:
    shop = transactions.wallet(bytes(32), 0)["tron"]
    said = {"fee_max_units": "10000000", "account": account.address}
    wanted = instruction or payout("tron", "TRX.tron", shop, 5_000_000, **said)
    # The issuers' clock is the custodians': a version lives at most ten minutes from it.
    start = int(issuers.now().timestamp()) * 1_000
    frame = Frame(b"\x12\x34", b"\x01" * 8, start, start + 60_000 * (1 + minute))
    unsigned = building.transfer(account.address, shop, 5_000_000, frame, 2)
    return sign_request(unsigned, [issuers.asked(wanted)], account.anchor)


def lived(stack: Stack) -> tuple[Stage, Before]:
    """Groups, wallets, sweeps, an executed transaction and two payouts of a stack in its prime."""
    aws = Aws(stack.ministack)
    custodians = Custodians(aws, Issuers()).enrolled()
    stage = Stage(aws.kms, scene.new_stage(aws.kms, custodians.stage), connected(stack.mariadb))
    sets = tuple(
        CustodySet(number, custodians.sets[number].purpose, custodians.sets[number].keys)
        for number in (1, 2)
    )
    stage.register(sets)
    for group in GROUPS:
        stage.groups(PLAN).create_group(group)
        stage.on_chain(group)
    accounts = {chain: stored_account(stage, custodians, chain) for chain in ("bitcoin", "tron")}
    requests = {
        "bitcoin": bitcoin_request(custodians.issuers, accounts["bitcoin"], SHOP),
        "tron": tron_request(custodians.issuers, accounts["tron"]),
    }
    seeds = seeds_of(stage)
    carried = carrying(stage)
    before = Before(
        addresses=told(stage),
        sweeps=swept(stage, seeds),
        export=exported(stage),
        carried=carried,
        executed=executed(stage, carried),
        signed={chain: signatures(custodians, body) for chain, body in requests.items()},
        requests=requests,
        seeds=seeds,
        custodians=custodians,
        accounts=accounts,
    )
    return stage, before


def stored_account(stage: Stage, custodians: Custodians, chain: str) -> CustodyAccount:
    with stage.database.transaction() as cursor:
        cursor.execute(
            "SELECT anchor FROM custody_account"
            " WHERE group_no = %s AND kind = 'hot' AND chain = %s",
            (GROUP, chain),
        )
        ((anchor,),) = cursor.fetchall()
    place = CustodyPlace(chain, NETWORKS[chain], GROUP, WalletKind.HOT, 1)
    found = custody(chain).account(place, custodians.sets[1].keys, anchor)
    assert found.address == stage.custody_address(GROUP, chain)
    return found


def seeds_of(stage: Stage) -> Mapping[int, bytes]:
    """The seeds that `create_group` made, opened as kms opens them."""
    vault = KmsSeedVault(stage.kms, f"alias/orion/{stage.name}/wallet-seeds", stage.name)
    store, found = MySqlGroupStore(stage.database), {}
    for group in GROUPS:
        stored = store.find(group)
        assert stored is not None
        with vault.opened(group, stored.seed) as seed:
            found[group] = bytes(seed)
    return found


def told(stage: Stage) -> Sequence[Mapping[str, object]]:
    """Addresses of a range of every group, as the address pool tells them now."""
    with stage.database.transaction() as cursor:
        cursor.execute("DELETE FROM outbox")
    service = stage.groups(PLAN)
    for group in GROUPS:
        service.create_group(group)
        service.derive(PoolRequest(group, WalletRange(FIRST_INDEX, WALLETS), TRACE))
    return outbox(stage.database, "wallet.addresses")


def swept(stage: Stage, seeds: Mapping[int, bytes]) -> Mapping[str, bytes]:
    """One sweep of each group and chain."""
    return {
        f"{chain} of {group}": stage.sweeps(chain)
        .sign(
            transactions.sweep_of(group, chain, seeds[group], stage.custody_address(group, chain))
        )
        .transaction
        for group in GROUPS
        for chain in NETWORKS
    }


def exported(stage: Stage) -> Sequence[Mapping[str, object]]:
    export = CustodyExport(MySqlSetStore(stage.database, NETWORKS))
    return export.page(ExportRequest(0, 99, 500, None, TRACE)).accounts


def carrying(stage: Stage, value: int = 5) -> bytes:
    """A payment signed by three custodians' keys, in an executor's transaction."""
    account = stage.account(GROUP, "ethereum")

    def signed(custodian: int, digest: bytes) -> bytes:
        signer = KmsCustodianSigner(stage.kms, stage.name, custodian)
        return signer.sign(account.place.set_no, Curve.SECP256K1, digest)

    return transactions.execution(account, value=value, signed=signed)


def executed(stage: Stage, unsigned: bytes) -> bytes:
    request = ExecutionRequest(unsigned, (GROUP,), TRACE, safe_nonce=0)
    return stage.floats("ethereum").sign(request).signature


def signatures(custodians: Custodians, request: Body) -> Mapping[int, tuple[bytes, ...]]:
    return {number: made.signatures for number, made in custodians.sign(request).items()}


def assert_refuses(custodians: Custodians, request: Body, reason: str) -> None:
    for service in custodians.services.values():
        with pytest.raises(ConflictRefused) as caught:
            service.sign(request)
        assert caught.value.reason == reason
