"""Issuers of evidence, and five custodians with tables and KMS keys of their own, for tests.

`Issuers` holds local P-256 keys, or KMS keys where the test wants an issuer as in the cloud.
`Custodians` are five services over one MiniStack; `Payout` makes instructions.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from orion.adapters.aws.custodian_store import DynamoCustodianStore
from orion.adapters.aws.kms_signer import KmsCustodianSigner
from orion.chains.spend import CUSTODIANS, Curve, CustodyKeys, WalletKind
from orion.ids import public_id
from orion.kms.custody.instruction import canonical, instruction_digest
from orion.kms.custody.request import EnrolledSet
from orion.kms.custody.service import CustodianService, Signed
from orion.kms.custody.settings import read_settings

STATEMENT_PREFIX = b"orion statement v1\n"
ISSUERS = (
    "policy-decisions",
    "approval-tokens",
    "custody-enrolment",
    "step-up",
    "chain-finality",
)
TRACE = "ab" * 16
NOW = datetime(2026, 1, 2, 10, 20, tzinfo=UTC)
NETWORKS = {
    "bitcoin": "regtest",
    "ethereum": "31337",
    "tron": "private",
    "solana": "localnet",
}
# An account's address where no test computes it, by chain.
PAYERS = {
    "bitcoin": "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry",
    "ethereum": "0x" + "ac" * 20,
    "tron": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    "solana": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
}
FLOATS = {
    "ethereum": "0x" + "f1" * 20,
    "solana": "Vote111111111111111111111111111111111111111",
}
# Far above what most tests pay, so that only those about caps meet one.
PLENTY = str(10**30)
SPECS = {Curve.SECP256K1: "ECC_SECG_P256K1", Curve.ED25519: "ECC_NIST_EDWARDS25519"}

Body = dict[str, Any]


def pause(attempt: int) -> None:
    """Let others finish, as the function's own pause does."""
    threading.Event().wait(min(0.5, 0.02 * 2**attempt) * secrets.randbelow(1_000) / 1_000)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Issuers:
    """Makes every kind of statement. `now` is when they are issued; they last an hour."""

    def __init__(self, now: Callable[[], datetime] = lambda: NOW, kms: Any = None) -> None:
        self.now = now
        self._kms = kms
        self.merchant_key = Ed25519PrivateKey.generate()
        if kms is None:
            self._local = {name: ec.generate_private_key(ec.SECP256R1()) for name in ISSUERS}
        else:
            self._remote = {
                name: kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")[
                    "KeyMetadata"
                ]["KeyId"]
                for name in ISSUERS
            }

    def keys(self) -> dict[str, str]:
        """`evidence_keys` of a custodian's settings."""
        if self._kms is not None:
            return {
                name: encoded(self._kms.get_public_key(KeyId=key)["PublicKey"])
                for name, key in self._remote.items()
            }
        spki = PublicFormat.SubjectPublicKeyInfo
        return {
            name: encoded(key.public_key().public_bytes(Encoding.DER, spki))
            for name, key in self._local.items()
        }

    def signature(self, issuer: str, data: bytes) -> bytes:
        if issuer == "merchant":
            return self.merchant_key.sign(data)
        if self._kms is not None:
            return bytes(
                self._kms.sign(
                    KeyId=self._remote[issuer],
                    Message=hashlib.sha256(data).digest(),
                    MessageType="DIGEST",
                    SigningAlgorithm="ECDSA_SHA_256",
                )["Signature"]
            )
        return self._local[issuer].sign(data, ec.ECDSA(SHA256()))

    def signed(self, issuer: str, body: Mapping[str, object] | bytes) -> Body:
        """An entry of `evidence` over any body, good or not."""
        statement = body if isinstance(body, bytes) else canonical(body)
        signature = self.signature(issuer, STATEMENT_PREFIX + statement)
        return {
            "statement": encoded(statement),
            "issuer": issuer,
            "signature": encoded(signature),
        }

    def statement(self, issuer: str, kind: str, **said: object) -> Body:
        times = {
            "issued_at": self.now().isoformat(),
            "expires_at": (self.now() + timedelta(hours=1)).isoformat(),
        }
        return self.signed(issuer, {"kind": kind, **times, **said})

    def step_up(self, instruction: Body, user: str = "usr_merchant", **more: object) -> Body:
        said = {"instruction": instruction_digest(instruction), "user": user, **more}
        return self.statement("step-up", "step_up", **said)

    def certificate(self, merchant: str, **more: object) -> Body:
        raw = self.merchant_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        said = {"merchant": merchant, "public_key": encoded(raw), **more}
        return self.statement("step-up", "merchant_key", **said)

    def request(self, instruction: Body, **more: object) -> Body:
        said = {
            "instruction": instruction_digest(instruction),
            "merchant": instruction["merchant"],
            **more,
        }
        return self.statement("merchant", "request", **said)

    def decision(self, instruction: Body, approvals: int = 0, **more: object) -> Body:
        said = {
            "instruction": instruction_digest(instruction),
            "decision": "allow",
            "approvals": approvals,
            "policy": "2026-01",
            "requested_by": "usr_merchant",
            **more,
        }
        return self.statement("policy-decisions", "decision", **said)

    def approval(self, digest: Body | str, approver: str, **more: object) -> Body:
        wanted = digest if isinstance(digest, str) else instruction_digest(digest)
        said = {"instruction": wanted, "approver": approver, **more}
        return self.statement("approval-tokens", "approval", **said)

    def enrolment(self, set_digest: str, approver: str, **more: object) -> Body:
        said = {"instruction": set_digest, "approver": approver, **more}
        return self.statement("custody-enrolment", "approval", **said)

    def failed(self, chain: str, version: str, **more: object) -> Body:
        said = {"chain": chain, "network": NETWORKS[chain], "version": version, "final_at": 2_000}
        return self.statement("chain-finality", "failed", **(said | more))

    def held(self, on: str, held_address: str, set_digest: str, **more: object) -> Body:
        said = {"chain": on, "network": NETWORKS[on], "final_at": 2_000}
        about = {"address": held_address, "set": set_digest}
        return self.statement("chain-finality", "held", **(said | about | more))

    def absent(self, chain: str, version: str, **more: object) -> Body:
        said = {
            "chain": chain,
            "network": NETWORKS[chain],
            "version": version,
            "final_at": 2_000,
            "valid_until": 1_000,
            **more,
        }
        return self.statement("chain-finality", "absent", **said)

    def enough(self, instruction: Body, approvals: int | None = None) -> list[Body]:
        """All that an instruction wants: approvals as its purpose and wallet say, or as told."""
        purpose, wallet = instruction["purpose"], instruction["wallet"]
        by_purpose = {"rotation": 3, "void": 2}
        least = by_purpose.get(purpose, 1 if wallet == "warm" else 0)
        wanted = least if approvals is None else approvals
        evidence = [self.decision(instruction, approvals=wanted)]
        if purpose == "payout":
            evidence.append(self.step_up(instruction))
        people = [f"usr_approver_{place}" for place in range(wanted)]
        return evidence + [self.approval(instruction, person) for person in people]

    def asked(self, instruction: Body, *more: Body) -> Body:
        """An entry of `instructions` with enough evidence, and `more` beside it."""
        return {"instruction": instruction, "evidence": [*self.enough(instruction), *more]}


def payout(chain: str, asset: str, recipient: str, units: int, **more: object) -> Body:
    """An instruction of a payout from group 7's hot wallet, with an identity of its own. `account`
    is the wallet's address wherever a custodian computes it.
    """
    return {
        "v": 1,
        "id": public_id("pay", secrets.token_bytes(16)),
        "purpose": "payout",
        "merchant": public_id("mer", bytes(16)),
        "chain": chain,
        "network": NETWORKS[chain],
        "group": 7,
        "wallet": "hot",
        "set": 1,
        "account": PAYERS[chain],
        "asset": asset,
        "recipient": recipient,
        "units": str(units),
        "fee_max_units": "0",
        "target_set": None,
        "created_at": NOW.isoformat(),
        **more,
    }


def rotation(chain: str, asset: str, recipient: str | None, units: int, **more: object) -> Body:
    """An instruction of a rotation from set 1 to set 3."""
    wanted = {"purpose": "rotation", "merchant": None, "target_set": 3}
    return payout(chain, asset, recipient or "", units) | wanted | {"recipient": recipient} | more


def void(chain: str, asset: str, **more: object) -> Body:
    """An instruction to spend claims on the account itself."""
    wanted = {"purpose": "void", "merchant": None, "recipient": None}
    return payout(chain, asset, "", 0) | wanted | more


def sign_request(unsigned: bytes, asked: Iterable[Body], anchor: str = "") -> Body:
    """A `sign` request."""
    return {
        "v": 1,
        "trace_id": TRACE,
        "operation": "sign",
        "instructions": list(asked),
        "anchor": anchor,
        "unsigned": encoded(unsigned),
    }


def settings_text(issuers: Issuers, **more: object) -> str:
    """ORION_CUSTODIAN_SETTINGS with caps that most tests never meet."""
    codes = ("BTC.bitcoin", "ETH.ethereum", "TRX.tron", "SOL.solana", "USDC.solana")
    caps = dict.fromkeys((*codes, "USDT.ethereum", "USDT.tron"), PLENTY)
    body: Body = {
        "evidence_keys": issuers.keys(),
        "velocity": {"hot": caps, "warm": caps},
        "contracts": {},
        "networks": NETWORKS,
        "floats": FLOATS,
    }
    return json.dumps(body | more)


class Aws:
    """Clients of one MiniStack."""

    def __init__(self, engine: Any) -> None:
        environment = engine.environment()
        session: Any = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=engine.region,
        )
        self._session, self.url = session, engine.url
        self.kms, self.dynamodb = self.client("kms"), self.client("dynamodb")

    def client(self, service: str, url: str | None = None, **more: Any) -> Any:
        config = Config(max_pool_connections=32, **more)
        return self._session.client(service, endpoint_url=url or self.url, config=config)

    def table(self) -> str:
        """A custodian's table, as infra deploys it."""
        name = f"custodian-{secrets.token_hex(6)}"
        self.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )
        return name

    def custodian_key(self, stage: str, custodian: int, set_no: int, curve: Curve) -> str:
        """A KMS key under the alias that the custodian looks for."""
        key = self.kms.create_key(KeySpec=SPECS[curve], KeyUsage="SIGN_VERIFY")
        key_id: str = key["KeyMetadata"]["KeyId"]
        alias = f"alias/orion/{stage}/custodian-{custodian}/set-{set_no}/{curve.value}"
        self.kms.create_alias(AliasName=alias, TargetKeyId=key_id)
        return key_id


class Custodians:
    """Five custodians of a stage of its own, with the sets 1 (hot), 2 (warm) and 3 (hot, spare)."""

    PURPOSES: Mapping[int, WalletKind] = {
        1: WalletKind.HOT,
        2: WalletKind.WARM,
        3: WalletKind.HOT,
    }

    def __init__(self, aws: Aws, issuers: Issuers, **settings: object) -> None:
        self.aws, self.issuers = aws, issuers
        self.stage = f"t{secrets.token_hex(4)}"
        self.settings_text = settings_text(issuers, **settings)
        self.numbers = range(1, CUSTODIANS + 1)
        self.tables = {number: aws.table() for number in self.numbers}
        for set_no in self.PURPOSES:
            for number in self.numbers:
                for curve in Curve:
                    aws.custodian_key(self.stage, number, set_no, curve)
        self.services = {number: self.service(number) for number in self.numbers}
        self.sets = {set_no: self._set(set_no) for set_no in self.PURPOSES}

    def service(self, number: int, dynamodb: Any = None, kms: Any = None) -> CustodianService:
        """Custodian `number` as after a new start, over the clients given."""
        return CustodianService(
            number=number,
            settings=read_settings(self.settings_text),
            store=DynamoCustodianStore(dynamodb or self.aws.dynamodb, self.tables[number]),
            signer=KmsCustodianSigner(kms or self.aws.kms, self.stage, number),
            now=self.issuers.now,
            pause=pause,
        )

    def enrol_request(self, proposed: EnrolledSet) -> Body:
        digest = proposed.digest()
        return {
            "v": 1,
            "trace_id": TRACE,
            "operation": "enrol",
            "set": proposed.set_no,
            "purpose": proposed.purpose.value,
            "secp256k1": [key.hex() for key in proposed.keys.secp256k1],
            "ed25519": [key.hex() for key in proposed.keys.ed25519],
            "evidence": [self.issuers.enrolment(digest, who) for who in ("usr_a", "usr_b")],
        }

    def enrolled(self) -> "Custodians":
        """With all sets enrolled by all custodians."""
        for proposed in self.sets.values():
            for service in self.services.values():
                service.enrol(self.enrol_request(proposed))
        return self

    def sign(self, request: Body, numbers: Sequence[int] = (1, 2, 3)) -> dict[int, Signed]:
        """What these custodians answer."""
        return {number: self.services[number].sign(request) for number in numbers}

    def _set(self, set_no: int) -> EnrolledSet:
        asked = {"v": 1, "trace_id": TRACE, "operation": "public_keys", "set": set_no}
        told = [self.services[number].public_keys(asked) for number in self.numbers]
        keys = CustodyKeys(
            tuple(each.secp256k1 for each in told), tuple(each.ed25519 for each in told)
        )
        return EnrolledSet(set_no, self.PURPOSES[set_no], keys)
