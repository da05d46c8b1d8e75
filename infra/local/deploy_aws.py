"""What a deployment asks of AWS beside CloudFormation: parameters, migrations, the first wallets.

Every step may be repeated, here and in the cloud.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.cloud.names import Stage

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectLockConfigurationTypeDef

# A migration may run for as long as its function may.
_CONFIG = Config(
    connect_timeout=3, read_timeout=920, retries={"mode": "standard", "total_max_attempts": 3}
)
# A mapping of MSK takes a minute or two to stop or start.
_SWITCH_TIMEOUT_S = 300
_SWITCH_POLL_S = 0.5
_WALLET_TIMEOUT_S = 180
_WALLET_POLL_S = 0.2
_RANGE_WALLETS = 500
_START_ATTEMPTS_MAX = 20
_PARAMETERS_PER_CALL = 10
_COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
# Written in the course of a deployment, by the keys stack or from its keys.
_OWN_PARAMETERS = ("keys/", "custodian/")

Json = Mapping[str, object]
Report = Callable[[str], None]


class DeployFailed(Exception):
    """The deployment stopped; the message says at which step and why."""


class Account:
    """The AWS account (or the local engine) at `endpoint_url`.

    Credentials are those of `environment`, or boto3's own where it names none.
    """

    def __init__(
        self, endpoint_url: str | None, region: str, environment: Mapping[str, str]
    ) -> None:
        session = boto3.Session(
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            region_name=region,
        )
        self.region = region
        self._ssm = session.client("ssm", endpoint_url=endpoint_url, config=_CONFIG)
        self._secrets = session.client("secretsmanager", endpoint_url=endpoint_url, config=_CONFIG)
        self._lambda = session.client("lambda", endpoint_url=endpoint_url, config=_CONFIG)
        self._s3 = session.client("s3", endpoint_url=endpoint_url, config=_CONFIG)
        self._sfn = session.client("stepfunctions", endpoint_url=endpoint_url, config=_CONFIG)
        self._cfn = session.client("cloudformation", endpoint_url=endpoint_url, config=_CONFIG)
        self._kms = session.client("kms", endpoint_url=endpoint_url, config=_CONFIG)

    def parameters(self, names: Sequence[str]) -> dict[str, str]:
        """Those of `names` that exist, with their values."""
        found: dict[str, str] = {}
        for start in range(0, len(names), _PARAMETERS_PER_CALL):
            part = list(names[start : start + _PARAMETERS_PER_CALL])
            rows = self._ssm.get_parameters(Names=part)["Parameters"]
            found |= {row["Name"]: row["Value"] for row in rows}
        return found

    def put_parameter(self, name: str, value: str) -> None:
        self._ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)

    def secret_arn(self, name: str) -> str:
        """The full ARN, which ends in six characters that only AWS knows. Raises DeployFailed."""
        try:
            return self._secrets.describe_secret(SecretId=name)["ARN"]
        except ClientError as exc:
            raise DeployFailed(f"secret {name} does not exist: {exc}") from exc

    def public_key(self, key_id: str) -> bytes:
        """The public half of a signing key, as DER. Raises DeployFailed."""
        try:
            return self._kms.get_public_key(KeyId=key_id)["PublicKey"]
        except (BotoCoreError, ClientError) as exc:
            raise DeployFailed(f"the public key of {key_id} cannot be read: {exc}") from exc

    def sign_digest(self, key_id: str, digest: bytes) -> bytes:
        """An ECDSA signature (DER) over a SHA-256 digest. Raises DeployFailed."""
        try:
            return self._kms.sign(
                KeyId=key_id,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )["Signature"]
        except (BotoCoreError, ClientError) as exc:
            raise DeployFailed(f"{key_id} does not sign: {exc}") from exc

    def stack_outputs(self, name: str) -> dict[str, str] | None:
        """Outputs of a stack that is complete; None when there is none, or one that is not."""
        try:
            stacks = self._cfn.describe_stacks(StackName=name)["Stacks"]
        except ClientError:
            return None
        if not stacks or stacks[0]["StackStatus"] not in _COMPLETE:
            return None
        rows = stacks[0].get("Outputs", [])
        return {row["OutputKey"]: row["OutputValue"] for row in rows}

    def apply_reserved_concurrency(self, template: Json) -> None:
        """Reserved concurrency as the template states it, for engines that do not read it there."""
        for properties in _of_type(template, "AWS::Lambda::Function"):
            reserved = properties.get("ReservedConcurrentExecutions")
            if isinstance(reserved, int):
                self._lambda.put_function_concurrency(
                    FunctionName=str(properties["FunctionName"]),
                    ReservedConcurrentExecutions=reserved,
                )

    def apply_bucket_protection(self, template: Json, outputs: Mapping[str, str]) -> None:
        """Encryption, versions and Object Lock of each bucket as the template states them, for
        engines that do not read it there. A bucket's name is among the stack's outputs.
        """
        resources = cast(Mapping[str, Mapping[str, object]], template["Resources"])
        declared = cast(Mapping[str, Mapping[str, object]], template.get("Outputs", {}))
        for key, output in declared.items():
            value = output["Value"]
            referred = value.get("Ref") if isinstance(value, dict) else None
            resource = resources.get(str(referred), {})
            if resource.get("Type") == "AWS::S3::Bucket":
                self._protect(outputs[key], cast(Json, resource["Properties"]))

    def _protect(self, bucket: str, properties: Json) -> None:
        lock = cast(
            Mapping[str, Mapping[str, Mapping[str, object]]], properties["ObjectLockConfiguration"]
        )
        retention = lock["Rule"]["DefaultRetention"]
        rule = cast(
            "ObjectLockConfigurationTypeDef",
            {
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": dict(retention)},
            },
        )
        self._s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )
        self._s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self._s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=rule)

    def invoke(self, function: str, request: Json | None = None) -> Json:
        """The answer of one function, by name or ARN. Raises DeployFailed with what it said."""
        body = json.dumps(request or {}).encode()
        try:
            answer = self._lambda.invoke(FunctionName=function, Payload=body)
        except (BotoCoreError, ClientError) as exc:
            raise DeployFailed(f"{function} cannot be invoked: {exc}") from exc
        payload = answer["Payload"].read().decode("utf-8", "replace")
        if answer.get("FunctionError"):
            raise DeployFailed(f"{function} failed: {payload[:2000]}")
        said = json.loads(payload)
        return cast(Json, said) if isinstance(said, dict) else {}

    def mappings(self, function: str) -> list[str]:
        """The event source mappings of a function; none while there is no such function."""
        pages = self._lambda.get_paginator("list_event_source_mappings")
        try:
            return [
                found["UUID"]
                for page in pages.paginate(FunctionName=function)
                for found in page["EventSourceMappings"]
            ]
        except self._lambda.exceptions.ResourceNotFoundException:
            return []

    def switch_mapping(self, mapping: str, *, enabled: bool) -> None:
        """Start or stop one mapping and wait until it says so. Raises DeployFailed."""
        wanted = "Enabled" if enabled else "Disabled"
        begun = time.monotonic()
        while time.monotonic() - begun < _SWITCH_TIMEOUT_S:
            state = self._lambda.get_event_source_mapping(UUID=mapping)["State"]
            if state == wanted:
                return
            # Any other state is on its way to one of the two, and refuses a change.
            if state in ("Enabled", "Disabled"):
                self._lambda.update_event_source_mapping(UUID=mapping, Enabled=enabled)
            time.sleep(_SWITCH_POLL_S)
        raise DeployFailed(f"mapping {mapping} is not {wanted} after {_SWITCH_TIMEOUT_S} s")

    def make_wallets(self, machine_arn: str, group: int, count: int, report: Report) -> None:
        """Start `wallet-group` and wait for its end; one that succeeded before is not repeated."""
        ranges = [
            {"first_index": first, "count": min(_RANGE_WALLETS, count - first)}
            for first in range(0, count, _RANGE_WALLETS)
        ]
        request = json.dumps({"group": group, "wallets": count, "ranges": ranges})
        for attempt in range(1, _START_ATTEMPTS_MAX + 1):
            name = f"group-{group}-wallets-{count}-{attempt}"
            status, cause = self._run(machine_arn, name, request, report)
            if status == "SUCCEEDED":
                report(f"wallet group {group}: {count} wallets ready")
                return
            if cause is not None:
                raise DeployFailed(f"wallet group {group}: {status}: {cause}")
        raise DeployFailed(f"wallet group {group}: failed {_START_ATTEMPTS_MAX} times")

    def _run(
        self, machine_arn: str, name: str, request: str, report: Report
    ) -> tuple[str, str | None]:
        """Status of the execution `name`; a cause only when it was started here and did not
        succeed.
        """
        execution = f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        started = self._started_before(execution)
        if started is None:
            execution = self._sfn.start_execution(
                stateMachineArn=machine_arn, name=name, input=request
            )["executionArn"]
        elif started != "RUNNING":
            return started, None
        begun = told = time.monotonic()
        while time.monotonic() - begun < _WALLET_TIMEOUT_S:
            state = self._sfn.describe_execution(executionArn=execution)
            if state["status"] != "RUNNING":
                return state["status"], f"{state.get('error')}: {state.get('cause')}"
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                report(f"wallet group: deriving, {told - begun:.0f} s")
            time.sleep(_WALLET_POLL_S)
        return "RUNNING", f"not done after {_WALLET_TIMEOUT_S} s"

    def _started_before(self, execution: str) -> str | None:
        try:
            return self._sfn.describe_execution(executionArn=execution)["status"]
        except self._sfn.exceptions.ExecutionDoesNotExist:
            return None


def write_secret_arns(account: Account, stage: Stage, principals: Sequence[str]) -> None:
    """`kafka/secret-arn/<principal>` for each mapping's credentials."""
    for principal in principals:
        arn = account.secret_arn(stage.kafka_secret(principal))
        account.put_parameter(stage.parameter(f"kafka/secret-arn/{principal}"), arn)


def missing_parameters(account: Account, template: Json, stage: Stage) -> list[str]:
    """SSM parameters that the template reads, others must write, and that do not exist."""
    declared = cast(Mapping[str, Mapping[str, str]], template.get("Parameters", {}))
    wanted = [
        row["Default"]
        for row in declared.values()
        if row["Type"].startswith("AWS::SSM::Parameter::Value")
        and row["Default"].startswith(stage.parameter(""))
        and not row["Default"].startswith(tuple(map(stage.parameter, _OWN_PARAMETERS)))
    ]
    found = account.parameters(wanted)
    return [name for name in wanted if name not in found]


def _of_type(template: Json, kind: str) -> Iterator[Json]:
    resources = cast(Mapping[str, Mapping[str, object]], template["Resources"])
    return (
        cast(Json, resource["Properties"])
        for resource in resources.values()
        if resource["Type"] == kind
    )
