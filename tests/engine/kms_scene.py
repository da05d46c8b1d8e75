"""A stage of the kms module on real engines: its KMS keys, registered custody sets, its service."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orion.adapters.aws.seed_vault import KmsChainKeyVault, KmsSeedVault
from orion.adapters.mysql.kms_groups import MySqlGroupStore
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.chains import base58
from orion.chains.spend import CustodyKeys, WalletKind
from orion.kms.groups import CustodyPlan, CustodyRow
from orion.kms.model import Networks
from orion.kms.service import WalletService
from orion.records import parse_json

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOT_SET, WARM_SET = 70, 71
FEE_PAYER = base58.encode(
    Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
)
PLAN = CustodyPlan((CustodyRow(0, 2**31 - 1, HOT_SET, WARM_SET),), FEE_PAYER)
FOUR = Networks("regtest", "31337", tron="private", solana="localnet")
PURPOSES = ("wallet-seeds", "sweep-bitcoin", "sweep-ethereum", "sweep-tron", "sweep-solana")
TABLES = (
    "wallet_group",
    "group_chain_key",
    "group_custody",
    "custody_account",
    "custody_set",
    "wallet_range",
    "outbox",
    "consumer_offset",
)


def custody_keys(number: int) -> CustodyKeys:
    """The public keys of a set, as any other for each number."""
    secret = [bytes([number, place]) + bytes(29) + b"\1" for place in range(5)]
    return CustodyKeys(
        tuple(PublicKey.from_secret(s).format() for s in secret),
        tuple(
            Ed25519PrivateKey.from_private_bytes(s).public_key().public_bytes_raw() for s in secret
        ),
    )


def register_sets(cursor: Any, sets: Mapping[int, WalletKind] | None = None) -> None:
    """Store sets in the schema `orion_kms`, those of PLAN unless others are named."""
    for number, purpose in (sets or {HOT_SET: WalletKind.HOT, WARM_SET: WalletKind.WARM}).items():
        keys = custody_keys(number)
        cursor.execute(
            "INSERT INTO orion_kms.custody_set VALUES (%s, %s, %s, %s, NOW(6))"
            " ON DUPLICATE KEY UPDATE set_no = VALUES(set_no)",
            (number, purpose.value, b"".join(keys.secp256k1), b"".join(keys.ed25519)),
        )


def connected(mysql_admin: Any) -> Database:
    """A connection of the module's own user."""
    login = mysql_admin.credentials("kms")
    return Database(
        MySqlConfig(
            host=mysql_admin.host,
            port=mysql_admin.port,
            user=login.username,
            password=login.password,
            schema="orion_kms",
            ca_pem=mysql_admin.ca_pem,
        )
    )


def emptied(mysql_admin: Any) -> None:
    """No group, no range, no message; the two sets of PLAN."""
    database = connected(mysql_admin)
    with database.transaction() as cursor:
        for table in TABLES:
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute("SET foreign_key_checks = 1")
        register_sets(cursor)
    database.close()


def aws_client(aws_engine: Any, service: str) -> Any:
    environment = aws_engine.environment()
    return boto3.client(
        service,  # type: ignore[call-overload]  # The name is the caller's.
        endpoint_url=aws_engine.url,
        region_name=aws_engine.region,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def new_stage(kms: Any) -> str:
    """A stage of its own with a KMS key for each purpose."""
    name = f"t{secrets.token_hex(4)}"
    for purpose in PURPOSES:
        key = kms.create_key(Description=purpose)["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=f"alias/orion/{name}/{purpose}", TargetKeyId=key)
    return name


def seed_vault(kms: Any, stage: str) -> KmsSeedVault:
    return KmsSeedVault(kms, f"alias/orion/{stage}/wallet-seeds", stage)


def wallet_service(
    kms: Any,
    stage: str,
    database: Database,
    networks: Networks = FOUR,
    plan: CustodyPlan = PLAN,
) -> WalletService:
    """The module's use cases as production composes them."""
    return WalletService(
        vault=seed_vault(kms, stage),
        chain_vault=KmsChainKeyVault(kms, stage),
        store=MySqlGroupStore(database),
        networks=networks,
        custody=plan,
        now=lambda: NOW,
    )


def outbox(database: Database, topic: str) -> list[Mapping[str, object]]:
    """What is stored for a topic, in order."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT payload FROM outbox WHERE destination = %s ORDER BY seq", (f"kafka:{topic}",)
        )
        return [parse_json(row[0]) for row in cursor.fetchall()]


def rows(database: Database, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with database.transaction() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
