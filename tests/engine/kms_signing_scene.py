"""A stage of the signers on real engines: groups with known seeds, sets whose keys a test holds,
and unsigned sweeps of every chain.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orion.adapters.aws.chain_key_vault import KmsChainKeyOpener
from orion.adapters.aws.fee_signer import KmsFeeSigner
from orion.adapters.aws.seed_vault import KmsChainKeyVault, KmsSeedVault
from orion.adapters.mysql.kms_groups import MySqlGroupStore
from orion.adapters.mysql.kms_signing import (
    MySqlFloatStore,
    MySqlSetKeys,
    MySqlSetStore,
    MySqlWalletStore,
)
from orion.adapters.mysql.session import Database
from orion.chains.solana.address import address_of as solana_address
from orion.chains.spend import CustodyAccount, WalletKind
from orion.kms.custody.settings import read_settings
from orion.kms.custody.statements import EvidenceKeys
from orion.kms.groups import CustodyPlan, CustodyRow, CustodySet
from orion.kms.model import TRON_CUSTODY, Networks
from orion.kms.service import WalletService
from orion.kms.signing.accounts import verified
from orion.kms.signing.anchors import Anchors, FeePayerAnchors, NoAnchors, SafeOrigins
from orion.kms.signing.chain_code import sweep_code
from orion.kms.signing.executor import EthereumFees, FeeChain, FloatSigner, SolanaFees
from orion.kms.signing.handover import HandoverSigner
from orion.kms.signing.model import ProposedSet, SetsRequest
from orion.kms.signing.named_accounts import NamedAccounts
from orion.kms.signing.sets import CustodyRegister, set_digest
from orion.kms.signing.sweep import SweepSigner
from tests.engine.custodian_scene import Body, Issuers, settings_text
from tests.engine.kms_scene import aws_client, connected, outbox, rows
from tests.unit.kms_signing_keys import custody_set

ROOT = Path(__file__).parents[2]
Call = tuple[str, Mapping[str, object]]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRACE = "cd" * 16
HOT_SET, WARM_SET = 170, 171
FOUR = Networks("regtest", "31337", tron="private", solana="localnet")
NETWORKS = FOUR.by_chain()
# A key pays fees on Solana: any point will do.
FEE_PAYER = solana_address(custody_set(900, WalletKind.HOT).keys.ed25519[0])
# Groups of one set share its address on Bitcoin, so the groups from 32 on have sets of their own.
PLAN = CustodyPlan(
    (CustodyRow(0, 31, HOT_SET, WARM_SET), CustodyRow(32, 2**31 - 1, 174, 175)), FEE_PAYER
)
SETS = (
    custody_set(HOT_SET, WalletKind.HOT),
    custody_set(WARM_SET, WalletKind.WARM),
    custody_set(174, WalletKind.HOT),
    custody_set(175, WalletKind.WARM),
)
PURPOSES = ("wallet-seeds", *(f"sweep-{chain}" for chain in NETWORKS))
CAPS = {"bitcoin": 50_000, "ethereum": 10**16, "tron": 100_000_000, "solana": 5_000_000}
FLOAT_WEI, FLOAT_LAMPORTS = 10**16, 10**8
TABLES = (
    "group_chain_key",
    "group_custody",
    "custody_account",
    "custody_key",
    "custody_set",
    "wallet_group",
    "outbox",
    "signer_float",
    "signer_slot",
    "signer_version",
    "signer_refill",
)
BLOCKHASH = bytes(range(32))


# Whose statements the signers believe.
ISSUERS = Issuers(lambda: NOW)


def evidence_keys() -> EvidenceKeys:
    """As a composition reads them."""
    return read_settings(settings_text(ISSUERS)).evidence_keys


def approved(found: CustodySet, people: Sequence[str] = ("usr_a", "usr_b")) -> list[Body]:
    """What these people said of a set."""
    return [ISSUERS.enrolment(set_digest(found), person) for person in people]


def by_the_clock() -> Mapping[str, object]:
    """Times of a statement for functions, which go by the machine's clock."""
    now = datetime.now(UTC)
    return {
        "issued_at": now.isoformat(),
        "expires_at": (now + timedelta(minutes=15)).isoformat(),
    }


def proposed(sets: Sequence[CustodySet]) -> tuple[ProposedSet, ...]:
    """Sets with their two approvals."""
    return tuple(ProposedSet(found, approved(found)) for found in sets)


def registering(database: Database) -> CustodyRegister:
    """The register of sets."""
    return CustodyRegister(MySqlSetStore(database, NETWORKS), evidence_keys, lambda: NOW)


def emptied(mysql_admin: Any) -> None:
    """A schema without groups, sets, floats and messages."""
    database = connected(mysql_admin)
    with database.transaction() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")
    database.close()


def new_stage(kms: Any, name: str | None = None) -> str:
    """A stage of its own with its envelope keys and both signers' keys."""
    name = name or f"s{secrets.token_hex(4)}"
    specs: dict[str, dict[str, str]] = {purpose: {} for purpose in PURPOSES}
    specs["executor-ethereum"] = {"KeySpec": "ECC_SECG_P256K1", "KeyUsage": "SIGN_VERIFY"}
    specs["fee-payer-solana"] = {"KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY"}
    for purpose, spec in specs.items():
        key = kms.create_key(Description=purpose, **spec)["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=f"alias/orion/{name}/{purpose}", TargetKeyId=key)
    return name


@dataclass(frozen=True)
class Rows:
    """What the tables of a schema hold, to put back before each test: sealing is slow."""

    tables: Mapping[str, Sequence[tuple[Any, ...]]]

    @classmethod
    def of(cls, database: Database) -> "Rows":
        """All rows as they are."""
        found = {}
        with database.transaction() as cursor:
            for table in TABLES:
                cursor.execute(f"SELECT * FROM {table}")
                found[table] = list(cursor.fetchall())
        return cls(found)

    def put_back(self, database: Database) -> None:
        """These rows and no others."""
        with database.transaction() as cursor:
            for table in TABLES:
                cursor.execute(f"DELETE FROM {table}")
            for table in reversed(TABLES):
                for row in self.tables[table]:
                    marks = ",".join(["%s"] * len(row))
                    cursor.execute(f"INSERT INTO {table} VALUES ({marks})", row)


@dataclass
class Stage:
    """One stage: its KMS client, its name and one database connection."""

    kms: Any
    name: str
    database: Database

    def register(self, sets: Sequence[CustodySet] = SETS) -> None:
        """Register custody sets as their function does."""
        registering(self.database).register(SetsRequest(proposed(sets), TRACE))

    def plant(self, group_no: int, seed: bytes) -> None:
        """A group with this seed, and all that `create_group` adds to it."""
        vault = KmsSeedVault(self.kms, f"alias/orion/{self.name}/wallet-seeds", self.name)
        sealed = vault.seal(group_no, bytearray(seed))
        with self.database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO wallet_group VALUES (%s, %s, %s, %s)",
                (group_no, sealed.ciphertext, sealed.key_arn, NOW.replace(tzinfo=None)),
            )
        self.groups(PLAN).create_group(group_no)

    def groups(self, plan: CustodyPlan) -> WalletService:
        """The kms module's use cases as production composes them."""
        return WalletService(
            vault=KmsSeedVault(self.kms, f"alias/orion/{self.name}/wallet-seeds", self.name),
            chain_vault=KmsChainKeyVault(self.kms, self.name),
            store=MySqlGroupStore(self.database),
            networks=FOUR,
            custody=plan,
            now=lambda: NOW,
        )

    def sweeps(self, chain: str, cap_units: int | None = None) -> SweepSigner:
        """The sweep signer of a chain."""
        cap = CAPS[chain] if cap_units is None else cap_units
        return SweepSigner(
            chain=chain,
            network=NETWORKS[chain],
            contracts={},
            cap_units=lambda: cap,
            code=sweep_code(chain),
            vault=KmsChainKeyOpener(self.kms, self.name, chain),
            store=MySqlWalletStore(self.database, chain, NETWORKS[chain], chain),
            anchors=self.anchors(chain),
            now=lambda: NOW,
        )

    def anchors(self, chain: str) -> Anchors:
        """How the stage knows its accounts' anchors."""
        naming = MySqlWalletStore(self.database, "tron", NETWORKS["tron"], TRON_CUSTODY)
        known: dict[str, Anchors] = {
            "bitcoin": NoAnchors(),
            "ethereum": SafeOrigins(MySqlSetKeys(self.database).keys_of),
            "solana": FeePayerAnchors(lambda: FEE_PAYER),
            "tron": NamedAccounts(KmsChainKeyOpener(self.kms, self.name, TRON_CUSTODY), naming),
        }
        return known[chain]

    def on_chain(self, group_no: int) -> None:
        """The group's accounts were seen on their chains."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "UPDATE custody_account SET on_chain_at = NOW(6) WHERE group_no = %s", (group_no,)
            )

    def handovers(self) -> HandoverSigner:
        """The Tron handover."""
        return HandoverSigner(
            vault=KmsChainKeyOpener(self.kms, self.name, TRON_CUSTODY),
            store=MySqlWalletStore(self.database, "tron", NETWORKS["tron"], TRON_CUSTODY),
            now=lambda: NOW,
        )

    def floats(self, chain: str, cap_units: int | None = None) -> FloatSigner:
        """The executor or the fee payer."""
        fees: FeeChain = EthereumFees(31337) if chain == "ethereum" else SolanaFees({})
        cap = {"ethereum": FLOAT_WEI, "solana": FLOAT_LAMPORTS}[chain]
        alias = f"alias/orion/{self.name}/{fees.signer.value}"
        return FloatSigner(
            chain=fees,
            cap_units=lambda: cap if cap_units is None else cap_units,
            key=KmsFeeSigner(self.kms, alias, fees.curve),
            store=MySqlFloatStore(self.database, chain, NETWORKS[chain]),
            anchors=self.anchors(chain),
            now=lambda: NOW,
        )

    def account(self, group_no: int, chain: str) -> CustodyAccount:
        """The group's hot account, computed again."""
        found = MySqlFloatStore(self.database, chain, NETWORKS[chain]).accounts((group_no,))
        return verified(next(one for one in found if one.place.kind is WalletKind.HOT))

    def beside(self, mysql_admin: Any) -> "Stage":
        """The same stage over a connection of its own, for another thread."""
        return Stage(self.kms, self.name, connected(mysql_admin))

    def custody_address(self, group_no: int, chain: str, kind: str = "hot") -> str:
        """As `create_group` stored it."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT address FROM custody_account"
                " WHERE group_no = %s AND kind = %s AND chain = %s",
                (group_no, kind, chain),
            )
            ((address,),) = cursor.fetchall()
            return str(address)


def new_stage_on(aws_engine: Any, mysql_admin: Any) -> Stage:
    """An empty schema and a stage without groups."""
    emptied(mysql_admin)
    kms = aws_client(aws_engine, "kms")
    return Stage(kms, new_stage(kms), connected(mysql_admin))


def planted_stage(
    aws_engine: Any, mysql_admin: Any, seeds: Mapping[int, bytes], *, on_chain: Sequence[int] = ()
) -> Iterator[tuple[Stage, Rows]]:
    """Groups with known seeds under registered sets, those of `on_chain` seen there, and all their
    rows, to be put back before each test.
    """
    found = new_stage_on(aws_engine, mysql_admin)
    found.register()
    for group_no, seed in seeds.items():
        found.plant(group_no, seed)
    for group_no in on_chain:
        found.on_chain(group_no)
    yield found, Rows.of(found.database)
    found.database.close()


def unseen(stage: Stage) -> None:
    """Nobody has seen any account on its chain."""
    with stage.database.transaction() as cursor:
        cursor.execute("UPDATE custody_account SET on_chain_at = NULL")


def committed(stage: Stage, signer: str = "executor-ethereum") -> int:
    """What counts against the float of `signer` now."""
    found = rows(
        stage.database, "SELECT committed_units FROM signer_float WHERE signer = %s", signer
    )
    return int(found[0][0]) if found else 0


def told(stage: Stage, action: str) -> int:
    """How many audit events tell of `action`."""
    return [body["action"] for body in outbox(stage.database, "audit.events")].count(action)
