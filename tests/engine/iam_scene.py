"""All stacks of a stage on an engine that then enforces policies, and calls under its roles."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.cloud.custody import CUSTODIANS, custodian_room
from infra.cloud.function_row import FUNCTION_STACKS
from infra.cloud.names import Stage
from infra.cloud.synth import synthesize, template_path
from infra.local import Stack
from infra.local.custody_settings import check_code_signing
from infra.local.deploy import Cdk, deploy_stacks
from infra.local.deploy_aws import Account

STAGE = Stage("iam")
NETWORKS = {"bitcoin": "regtest", "ethereum": "31337", "tron": "private", "solana": "localnet"}
# What the engine answers to whom it refuses, service by service.
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_QUICK = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
ANYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@dataclass
class Deployed:
    """A stage whose engine enforces policies. `roles` are those of all its stacks."""

    stack: Stack
    roles: tuple[str, ...]
    # One session for all: each would read the services' descriptions again.
    _session: Any = field(default_factory=boto3.Session)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _credentials: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def client(self, service: Any, role: str = "") -> Any:
        """A client of the account's root, or of a role's session."""
        known = self._clients.get((service, role))
        if known is None:
            aws = self.stack.ministack
            known = self._session.client(
                service,
                endpoint_url=aws.url,
                region_name=aws.region,
                config=_QUICK,
                **self._assumed(role),
            )
            self._clients[service, role] = known
        return known

    def make_role(self, name: str, policy: Mapping[str, Any]) -> str:
        """A role of the account with one policy, whom the account trusts; its name."""
        iam = self.client("iam")
        trusted = json.dumps(self._by_account())
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        return name

    def give(self, role: str, policy: Mapping[str, Any]) -> None:
        """Put one more policy on a role."""
        document = json.dumps(policy)
        self.client("iam").put_role_policy(
            RoleName=role, PolicyName="more", PolicyDocument=document
        )

    def trust(self, role: str) -> str:
        """Let the account take a role that wants more of a caller, such as a second factor; its
        name.
        """
        document = json.dumps(self._by_account())
        self.client("iam").update_assume_role_policy(RoleName=role, PolicyDocument=document)
        return role

    def key_arn(self, alias: str) -> str:
        found = self.client("kms").describe_key(KeyId=alias)["KeyMetadata"]["Arn"]
        return str(found)

    def _by_account(self) -> Mapping[str, Any]:
        trusted = {
            "Effect": "Allow",
            "Principal": {"AWS": self._arn(":root")},
            "Action": "sts:AssumeRole",
        }
        return {"Version": "2012-10-17", "Statement": [trusted]}

    def _assumed(self, role: str) -> Mapping[str, str]:
        if not role:
            return {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        if role not in self._credentials:
            arn = self._arn(f":role/{role}")
            given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="iam-test")
            self._credentials[role] = {
                "aws_access_key_id": given["Credentials"]["AccessKeyId"],
                "aws_secret_access_key": given["Credentials"]["SecretAccessKey"],
                "aws_session_token": given["Credentials"]["SessionToken"],
            }
        return self._credentials[role]

    def _arn(self, end: str) -> str:
        return f"arn:aws:iam::{self.stack.ministack.account_id}{end}"


def allowed(call: Callable[[], object]) -> bool:
    """Whether the engine lets the call happen; any error but a refusal is the test's own."""
    try:
        call()
    except ClientError as exc:
        if exc.response["Error"]["Code"] in _DENIED:
            return False
        raise
    return True


def signing(found: Deployed, role: str, key: str, curve: str) -> Callable[[], object]:
    """A signature by `key` under `role`, in the form that this curve's keys take."""
    kms = found.client("kms", role)
    if curve == "ed25519":
        return partial(
            kms.sign,
            KeyId=key,
            Message=b"message",
            MessageType="RAW",
            SigningAlgorithm="ED25519_SHA_512",
        )
    return partial(
        kms.sign,
        KeyId=key,
        Message=bytes(range(32)),
        MessageType="DIGEST",
        SigningAlgorithm="ECDSA_SHA_256",
    )


def deploy_enforced(folder: Path) -> Deployed:
    """Deploy without enforcement, which the CDK's own calls need, then restart with it."""
    stack = Stack(folder, report=lambda _: None)
    stack.layout.create()
    stack.start("ministack")
    aws = stack.ministack
    assembly = synthesize(STAGE.name, folder / "cdk.out", unsigned_custodians=True)
    account = Account(aws.url, aws.region, aws.environment())
    for name, value in _parameters(assembly).items():
        account.put_parameter(name, value)
    check_code_signing(account, STAGE, unsigned=True)
    cdk = Cdk(aws.url, aws.region, aws.environment(), assembly, folder, lambda _: None)
    # No database is up: of the migrations' function only its role is of interest here.
    deploy_stacks(cdk, account, STAGE, aws.account_id, lambda: None)
    stack.stop("ministack")
    stack.ministack.authorize = True
    stack.start("ministack")
    return Deployed(stack, tuple(_roles(assembly)))


def _rooms() -> tuple[str, ...]:
    return ("keys", *FUNCTION_STACKS, *map(custodian_room, CUSTODIANS))


def _templates(assembly: Path) -> list[Mapping[str, Any]]:
    return [json.loads(template_path(assembly, room).read_text()) for room in _rooms()]


def _parameters(assembly: Path) -> dict[str, str]:
    """What other stacks write: nothing of it matters here but that it is there."""
    found = {}
    for template in _templates(assembly):
        for row in template["Parameters"].values():
            path = str(row["Default"]).removeprefix(STAGE.parameter(""))
            if path != row["Default"] and not path.startswith(("keys/", "custodian/")):
                found[row["Default"]] = "arn:aws:x:y:z:w" if path.endswith("arn") else "none"
    found[STAGE.parameter("chains/networks")] = json.dumps(NETWORKS)
    found[STAGE.parameter("chains/contracts")] = "{}"
    return found


def _roles(assembly: Path) -> list[str]:
    return sorted(
        resource["Properties"]["RoleName"]
        for template in _templates(assembly)
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role" and "RoleName" in resource["Properties"]
    )
