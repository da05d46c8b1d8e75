"""The deployed signers of the running stack, asked as a workflow asks them: by invocation."""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import boto3
from botocore.config import Config

from infra.local import Stack
from infra.local.seed import STAGE
from orion.chains.spend import CustodyAccount, CustodyKeys, CustodyPlace, WalletKind, custody
from orion.kms.custody.request import EnrolledSet
from tests.engine.custodian_scene import ISSUERS, Body, Issuers, encoded, payout, sign_request

GROUP = 0
_CLIENT = Config(read_timeout=120, retries={"total_max_attempts": 2})


class DeployedIssuers(Issuers):
    """The stage's own issuers of evidence: KMS keys that the custodians were deployed to trust."""

    def __init__(self, kms: Any) -> None:
        self.now = lambda: datetime.now(UTC)
        self._kms = kms
        self._remote = {name: f"alias/orion/{STAGE}/{name}" for name in ISSUERS}


class Signers:
    """Every signing function of the stage, and what the auditor's export tells of its accounts."""

    def __init__(self, stack: Stack) -> None:
        environment = stack.ministack.environment()
        self._session: Any = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=stack.ministack.region,
        )
        self._url = stack.ministack.url
        self.lambda_, self.kms, self.ssm = map(self.client, ("lambda", "kms", "ssm"))
        self.issuers = DeployedIssuers(self.kms)

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's AWS engine."""
        return self._session.client(service, endpoint_url=self._url, config=_CLIENT)

    def parameter(self, name: str) -> str:
        """One of the stage's SSM parameters."""
        found = self.ssm.get_parameter(Name=f"/orion/{STAGE}/{name}")
        return str(found["Parameter"]["Value"])

    def contracts(self) -> Mapping[str, str]:
        return cast(Mapping[str, str], json.loads(self.parameter("chains/contracts")))

    def ask(self, function: str, body: Mapping[str, object]) -> Body:
        """The answer of one function, refusals included."""
        return self.ask_plainly(function, {"v": 1, "trace_id": secrets.token_hex(16), **body})

    def ask_plainly(self, function: str, body: Mapping[str, object]) -> Body:
        """The same, as state machines ask: without a version."""
        answer = self.lambda_.invoke(
            FunctionName=f"orion-{STAGE}-{function}", Payload=json.dumps(body).encode()
        )
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        return cast(Body, said)

    def signed(self, function: str, body: Mapping[str, object]) -> Body:
        """The answer of a signer that signs."""
        answer = self.ask(function, body)
        assert answer["outcome"] == "signed", answer
        return answer

    def account(self, chain: str, kind: WalletKind = WalletKind.HOT) -> CustodyAccount:
        """A custody account of the first group, from the public export alone."""
        page = self.ask(
            "kms-custody-export",
            {"first_group": GROUP, "last_group": GROUP, "limit": 50, "after": None},
        )
        row = next(
            each
            for each in page["accounts"]
            if (each["chain"], each["wallet"]) == (chain, kind.value)
        )
        keys = next(each for each in page["sets"] if each["set"] == row["set"])
        place = CustodyPlace(chain, row["network"], GROUP, kind, row["set"])
        points = CustodyKeys(
            tuple(map(bytes.fromhex, keys["secp256k1"])), tuple(map(bytes.fromhex, keys["ed25519"]))
        )
        account = custody(chain).account(place, points, row["anchor"])
        assert account.address == row["address"]
        return account

    def instruction(
        self,
        account: CustodyAccount,
        asset: str,
        recipient: str,
        units: int,
        fee_max_units: int = 0,
    ) -> Body:
        """A payout from `account`, asked for now."""
        place = account.place
        return payout(
            place.chain,
            asset,
            recipient,
            units,
            network=place.network,
            group=place.group_no,
            wallet=place.kind.value,
            set=place.set_no,
            account=account.address,
            fee_max_units=str(fee_max_units),
            created_at=datetime.now(UTC).isoformat(),
        )

    def request(self, account: CustodyAccount, unsigned: bytes, instruction: Body) -> Body:
        """What each custodian is asked, with all the evidence that the instruction wants."""
        return sign_request(unsigned, [self.issuers.asked(instruction)], account.anchor)

    def transaction(
        self,
        account: CustodyAccount,
        unsigned: bytes,
        instruction: Body,
        custodians: Sequence[int] = (1, 3, 5),
    ) -> bytes:
        """Signed by those custodians and assembled."""
        request = self.request(account, unsigned, instruction)
        given = {number: self.signatures(number, request) for number in custodians}
        return custody(account.place.chain).assemble(unsigned, account, given)

    def signatures(self, custodian: int, request: Body) -> tuple[bytes, ...]:
        """What one deployed custodian answers."""
        answer = self.signed(f"custodian-{custodian}", request)
        return tuple(decoded(each) for each in answer["signatures"])

    def seen(self, account: CustodyAccount) -> None:
        """Tell kms that the account is on its chain, as whoever watches the chain does."""
        place = account.place
        digest = EnrolledSet(place.set_no, place.kind, account.keys).digest()
        held = self.issuers.held(place.chain, account.address, digest, network=place.network)
        answer = self.ask("kms-custody-on-chain", {"statement": held})
        assert answer["outcome"] == "on_chain", answer

    def sweep(self, chain: str, unsigned: bytes, indexes: Sequence[int]) -> bytes:
        """A sweep of wallets of the first group, signed."""
        body = {"group": GROUP, "unsigned": encoded(unsigned), "indexes": list(indexes)}
        return decoded(self.signed(f"kms-sweep-{chain}", body)["transaction"])


def decoded(text: str) -> bytes:
    """Bytes of strict base 64."""
    return base64.b64decode(text, validate=True)
