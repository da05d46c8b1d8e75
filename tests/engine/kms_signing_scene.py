"""A stage of the signers on real engines: groups with known seeds, sets whose keys a test holds,
and unsigned sweeps of every chain.
"""

import base64
import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from coincurve import PrivateKey

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
from orion.chains.bitcoin.address import parse_address as bitcoin_address
from orion.chains.bitcoin.encode import transaction_bytes
from orion.chains.bitcoin.psbt_build import Coin, everything_psbt
from orion.chains.bitcoin.wire import TxInput, TxOutput
from orion.chains.ethereum.creation import creation_call, factory_address
from orion.chains.ethereum.safe_account import owner_of
from orion.chains.ethereum.safe_transaction import CALL, SafeTransaction
from orion.chains.ethereum.transaction import FeeMarketTransaction
from orion.chains.solana.address import address_of as solana_address
from orion.chains.solana.address import parse_address as solana_key
from orion.chains.solana.budget import Budget
from orion.chains.solana.programs import WRAPPED_SOL
from orion.chains.solana.sweep import Sweep, slots, write_sweep
from orion.chains.spend import CustodyAccount, WalletKind
from orion.chains.tron import building
from orion.chains.tron.raw_data import Frame
from orion.kms.custody.settings import read_settings
from orion.kms.custody.statements import EvidenceKeys
from orion.kms.groups import CustodyPlan, CustodyRow, CustodySet
from orion.kms.keys.branches import wallet_keys
from orion.kms.model import TRON_CUSTODY, Networks
from orion.kms.service import WalletService
from orion.kms.signing.accounts import verified
from orion.kms.signing.anchors import Anchors, FeePayerAnchors, NoAnchors, SafeOrigins
from orion.kms.signing.chain_code import sweep_code
from orion.kms.signing.executor import EthereumFees, FeeChain, FloatSigner, SolanaFees
from orion.kms.signing.handover import HandoverSigner
from orion.kms.signing.model import ProposedSet, SetsRequest, SweepRequest
from orion.kms.signing.named_accounts import NamedAccounts
from orion.kms.signing.sets import CustodyRegister, set_digest
from orion.kms.signing.sweep import SweepSigner
from orion.wallet.addresses import WalletRange, addresses
from tests.engine.custodian_scene import Body, Issuers, settings_text
from tests.engine.kms_scene import aws_client, connected
from tests.unit.kms_signing_keys import custodian_secret, custody_set

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


def wallet(seed: bytes, index: int) -> Mapping[str, str]:
    """A wallet's addresses, as the address pool tells them."""
    (found,) = addresses(wallet_keys(seed, NETWORKS, WalletRange(index, 1)))
    return found.addresses


def bitcoin_output(seed: bytes, index: int) -> TxOutput:
    """What a wallet was paid on Bitcoin."""
    script = bitcoin_address(wallet(seed, index)["bitcoin"], "regtest").script
    return TxOutput(100_000 + index, script)


def bitcoin_sweep(
    seed: bytes, indexes: Sequence[int], recipient: str, *, fee_sat: int = 400
) -> tuple[bytes, tuple[int, ...]]:
    """A PSBT of one coin for each wallet, and the wallets in the order of its inputs."""
    by_id: list[tuple[bytes, int, Coin]] = []
    for index in indexes:
        source = TxInput(hashlib.sha256(bytes([index % 256])).digest(), 0, b"", 0xFFFFFFFF)
        previous = transaction_bytes(2, [source], [bitcoin_output(seed, index)], 0)
        txid = hashlib.sha256(hashlib.sha256(previous).digest()).digest()[::-1]
        by_id.append((txid, index, Coin(previous, 0)))
    by_id.sort(key=lambda row: row[0])
    coins = [coin for _, _, coin in by_id]
    psbt = everything_psbt(coins, recipient, "regtest", fee_sat)
    return psbt, tuple(index for _, index, _ in by_id)


def tron_frame(minute: int = 0) -> Frame:
    """Times and a reference block; `minute` makes another transaction."""
    start = 1_700_000_000_000 + 60_000 * minute
    return Frame(b"\x12\x34", b"\x01" * 8, start, start + 600_000)


def solana_sweep(
    seed: bytes, indexes: Sequence[int], recipient: str, *, fee_payer: str | None = None
) -> tuple[bytes, tuple[int, ...]]:
    """A message that moves SOL, and the wallets in the order of their signatures."""
    keys = {solana_key(wallet(seed, index)["solana"]): index for index in indexes}
    payer = solana_key(fee_payer) if fee_payer else next(iter(keys))
    owners = slots(tuple(keys), payer)
    sweep = Sweep(
        fee_payer=payer,
        blockhash=BLOCKHASH,
        budget=Budget(200_000, 10),
        mint=WRAPPED_SOL,
        recipient=solana_key(recipient),
        owners=owners,
        units=(1_000_000,) * len(owners),
    )
    return write_sweep(sweep, "localnet", {}), tuple(keys[owner] for owner in owners)


def tron_sweep(
    seed: bytes, index: int, recipient: str, *, minute: int = 0
) -> tuple[bytes, tuple[int, ...]]:
    """TRX of one wallet."""
    source = wallet(seed, index)["tron"]
    return building.transfer(source, recipient, 5_000_000, tron_frame(minute), 0), (index,)


def ethereum_sweep(
    recipient: str, *, nonce: int = 0, max_fee_gwei: int = 30
) -> tuple[bytes, tuple[int, ...]]:
    """Coins of wallet 7."""
    transaction = FeeMarketTransaction(
        chain_id=31337,
        nonce=nonce,
        max_priority_fee_wei=10**9,
        max_fee_wei=max_fee_gwei * 10**9,
        gas_limit=21_000,
        to=recipient,
        value_wei=10**17,
        data=b"",
    )
    return transaction.encode(), (7,)


def unsigned_sweep(chain: str, seed: bytes, recipient: str) -> tuple[bytes, tuple[int, ...]]:
    """A sweep of wallet 7, or on Bitcoin and Solana of wallets 7 and 8."""
    if chain == "bitcoin":
        return bitcoin_sweep(seed, (7, 8), recipient)
    if chain == "solana":
        return solana_sweep(seed, (7, 8), recipient)
    if chain == "tron":
        return tron_sweep(seed, 7, recipient)
    return ethereum_sweep(recipient)


def sweep_of(group_no: int, chain: str, seed: bytes, recipient: str) -> SweepRequest:
    """The request for `unsigned_sweep`."""
    unsigned, indexes = unsigned_sweep(chain, seed, recipient)
    return SweepRequest(group_no, unsigned, indexes, TRACE)


def as_event(request: SweepRequest) -> dict[str, object]:
    """The same request as a function is called with it."""
    return {
        "v": 1,
        "trace_id": request.trace_id,
        "group": request.group_no,
        "unsigned": base64.b64encode(request.unsigned).decode(),
        "indexes": list(request.indexes),
    }


def execution(
    account: CustodyAccount,
    *,
    nonce: int = 0,
    max_fee_gwei: int = 10,
    value: int = 5,
    chain_id: int = 31337,
    signed: Callable[[int, bytes], bytes] | None = None,
    custodians: Sequence[int] = (1, 3, 5),
) -> bytes:
    """An executor's transaction that carries a payment of the account's Safe under its nonce 0,
    signed by these custodians. `signed` answers a custodian's signature of a digest; without it
    they have the keys of `custody_set`.
    """
    payment = SafeTransaction(
        chain_id=chain_id,
        safe=account.address,
        to="0x" + "77" * 20,
        value=value,
        data=b"",
        operation=CALL,
        nonce=0,
    )
    return FeeMarketTransaction(
        chain_id=chain_id,
        nonce=nonce,
        max_priority_fee_wei=10**9,
        max_fee_wei=max_fee_gwei * 10**9,
        gas_limit=100_000,
        to=account.address,
        value_wei=0,
        data=payment.execution(_carried(account, payment.digest, signed, custodians)),
    ).encode()


def _carried(
    account: CustodyAccount,
    digest: bytes,
    signed: Callable[[int, bytes], bytes] | None,
    custodians: Sequence[int],
) -> bytes:
    """Signatures as a Safe takes them, ascending by owner."""

    def by_hand(custodian: int, digest: bytes) -> bytes:
        key = PrivateKey(custodian_secret(account.place.set_no, custodian))
        return key.sign_recoverable(digest, hasher=None)

    made = signed or by_hand
    given = []
    for custodian in custodians:
        owner = owner_of(account.keys.secp256k1[custodian - 1])
        signature = made(custodian, digest)
        given.append((owner, signature[:64] + bytes([27 + signature[64]])))
    return b"".join(signature for _, signature in sorted(given))


def safe_creation(account: CustodyAccount, *, nonce: int = 0) -> bytes:
    """An executor's transaction that makes the account's Safe."""
    return FeeMarketTransaction(
        chain_id=31337,
        nonce=nonce,
        max_priority_fee_wei=10**9,
        max_fee_wei=10 * 10**9,
        gas_limit=400_000,
        to=factory_address(),
        value_wei=0,
        data=creation_call(account),
    ).encode()


# Runs functions the way Lambda does and prints what each answered or raised.
DRIVER = """
import importlib.util, json, sys, traceback
def load(path):
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
for path, event in json.loads(sys.argv[1]):
    try:
        print(json.dumps(load(path).handler(event, None)), flush=True)
    except Exception as exc:
        print("RAISED", type(exc).__name__, flush=True)
        traceback.print_exception(exc, file=sys.stdout)
"""


def deployed(stage: Stage, aws_engine: Any, mysql_admin: Any) -> dict[str, str]:
    """The environment of the stage's functions, after parameters, secret and queue are written."""
    ssm = aws_client(aws_engine, "ssm")
    parameters = {
        "mysql/proxy-host": mysql_admin.host,
        "mysql/proxy-port": str(mysql_admin.port),
        "mysql/proxy-ca-pem": mysql_admin.ca_pem,
        "chains/networks": json.dumps(dict(NETWORKS)),
        "chains/contracts": "{}",
        "policy/sweep-fee-max": json.dumps({chain: str(cap) for chain, cap in CAPS.items()}),
        "policy/executor-float": json.dumps(
            {"ethereum": str(FLOAT_WEI), "solana": str(FLOAT_LAMPORTS)}
        ),
        "custody/solana-fee-payer": FEE_PAYER,
        "custodian/settings": settings_text(ISSUERS),
    }
    for name, value in parameters.items():
        ssm.put_parameter(
            Name=f"/orion/{stage.name}/{name}", Value=value, Type="String", Overwrite=True
        )
    login = mysql_admin.credentials("kms")
    vault = aws_client(aws_engine, "secretsmanager")
    name = f"orion/{stage.name}/mysql/kms"
    content = json.dumps({"username": login.username, "password": login.password})
    if not vault.list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"]:
        vault.create_secret(Name=name, SecretString=content)
    aws_client(aws_engine, "sqs").create_queue(QueueName=f"orion-{stage.name}-outbox-kms")
    return {
        **aws_engine.environment(),
        "ORION_STAGE": stage.name,
        "ORION_LOG_LEVEL": "DEBUG",
        "PYTHONPATH": str(ROOT / "layers/orion/python"),
        "PATH": os.environ["PATH"],
    }


def started(
    environment: Mapping[str, str], calls: Sequence[Call], *, before: str = ""
) -> subprocess.Popen[bytes]:
    """A process that calls functions one after the other; its output is a pipe. `before` is code
    that runs in it first.
    """
    return subprocess.Popen(
        [sys.executable, "-c", before + DRIVER, json.dumps(list(calls))],
        cwd=ROOT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ran(environment: Mapping[str, str], calls: Sequence[Call], *, before: str = "") -> bytes:
    """All that the functions wrote, answers included."""
    with started(environment, calls, before=before) as process:
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output.decode()
    return output


def answers(output: bytes) -> list[dict[str, Any]]:
    """What the functions answered, in order."""
    return [json.loads(line) for line in output.splitlines() if line.startswith(b'{"outcome"')]
