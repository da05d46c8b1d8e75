"""The stage's account: its functions, its state machine and its reports.

Region, credentials and endpoint come from the environment, as for every AWS tool. Nothing is
repeated that changes anything: starting a check has a name of its own.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
)

from clients.operator.failure import OperatorFailure, failed
from orion.log.reconciliation.model import run_id

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

# A statement or a proof may take a function's whole time; a retry would only double that.
_CONFIG = Config(connect_timeout=5, read_timeout=90, retries={"total_max_attempts": 2})
_MACHINE = "reconciliation"
_MAX_REPORT_BYTES = 4_000_000
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException"})


@dataclass(frozen=True, slots=True)
class Execution:
    """A running check."""

    name: str
    arn: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a check ended: `SUCCEEDED`, or another status with the machine's error and cause."""

    status: str
    error: str
    cause: str
    started_at: datetime


class Cloud:
    """One stage, as the environment's credentials see it."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def invoke(self, function: str, request: Mapping[str, object]) -> Mapping[str, object]:
        """The answer of `orion-<stage>-<function>`. Raises OperatorFailure."""
        name = f"orion-{self._stage}-{function}"
        body = json.dumps(request).encode()
        try:
            answer = self._client("lambda").invoke(FunctionName=name, Payload=body)
            payload = answer["Payload"].read()
        except (BotoCoreError, ClientError) as exc:
            raise _unreachable(name, exc) from exc
        said = json.loads(payload)
        if answer.get("FunctionError"):
            error = cast(Mapping[str, object], said if isinstance(said, dict) else {})
            raise failed(name, error.get("errorType"), error.get("errorMessage"))
        return cast(Mapping[str, object], said)

    def start_check(self, scope: str) -> Execution:
        """A new execution of the state machine. Raises OperatorFailure."""
        name = f"operator-{secrets.token_hex(8)}"
        machine = f"orion-{self._stage}-{_MACHINE}"
        who = self._caller
        partition = who["Arn"].split(":")[1]
        arn = f"arn:{partition}:states:{self._region}:{who['Account']}:stateMachine:{machine}"
        try:
            started = self._client("stepfunctions").start_execution(
                stateMachineArn=arn, name=name, input=json.dumps({"scope": scope})
            )
        except (BotoCoreError, ClientError) as exc:
            raise _unreachable(machine, exc) from exc
        return Execution(name, started["executionArn"])

    def ended(self, execution: Execution) -> Ended | None:
        """How the check ended; None while it runs. Raises OperatorFailure."""
        try:
            found: DescribeExecutionOutputTypeDef = self._client(
                "stepfunctions"
            ).describe_execution(executionArn=execution.arn)
        except (BotoCoreError, ClientError) as exc:
            raise _unreachable(execution.arn, exc) from exc
        if found["status"] == "RUNNING":
            return None
        return Ended(
            found["status"], found.get("error", ""), found.get("cause", ""), found["startDate"]
        )

    def step(self, execution: Execution) -> str:
        """The state that the check entered last; empty where that cannot be seen."""
        try:
            history = self._client("stepfunctions").get_execution_history(
                executionArn=execution.arn, reverseOrder=True, maxResults=50
            )
        except (BotoCoreError, ClientError):
            return ""
        for event in history["events"]:
            if "stateEnteredEventDetails" in event:
                return str(event["stateEnteredEventDetails"]["name"])
        return ""

    def report(self, execution: Execution, ended: Ended) -> tuple[str, bytes] | None:
        """Where the check's report lies (an S3 address), and it as CSV; None where it has none.

        Raises OperatorFailure.
        """
        who = self._caller["Account"]
        bucket = f"orion-{self._stage}-ledger-book-{who}-{self._region}"
        run = run_id(execution.name).hex()
        # The run begins a moment after its execution: at midnight on the next day.
        for day in (ended.started_at, ended.started_at + timedelta(days=1)):
            key = f"reports/{day:%Y-%m-%d}/{run}.csv"
            try:
                answer = self._client("s3").get_object(Bucket=bucket, Key=key)
                return f"s3://{bucket}/{key}", answer["Body"].read(_MAX_REPORT_BYTES)
            except ClientError as exc:
                if exc.response["Error"].get("Code") != "NoSuchKey":
                    raise _unreachable(bucket, exc) from exc
            except BotoCoreError as exc:
                raise _unreachable(bucket, exc) from exc
        return None

    @cached_property
    def _caller(self) -> Mapping[str, str]:
        try:
            return cast(Mapping[str, str], self._client("sts").get_caller_identity())
        except (BotoCoreError, ClientError) as exc:
            raise _unreachable("the account", exc) from exc

    @cached_property
    def _region(self) -> str:
        region = boto3.Session().region_name
        if not region:
            raise _unreachable("AWS", NoRegionError())
        return region

    def _client(self, service: str) -> Any:
        try:
            return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]
        except BotoCoreError as exc:
            raise _unreachable(service, exc) from exc


def _unreachable(what: str, exc: BotoCoreError | ClientError) -> OperatorFailure:
    if isinstance(exc, NoRegionError):
        return OperatorFailure("no region is set", "set AWS_REGION to the region of the stage")
    if isinstance(exc, NoCredentialsError):
        return OperatorFailure(
            "no credentials are set", "log in to the account of the stage (aws sso login)"
        )
    if isinstance(exc, ClientError):
        code = str(exc.response.get("Error", {}).get("Code", ""))
        if code in _DENIED:
            return OperatorFailure(
                f"these credentials may not use {what}", "take the operators' role of the stage"
            )
        if "NotFound" in code or "DoesNotExist" in code or code == "NoSuchBucket":
            return OperatorFailure(
                f"there is no {what} in this account and region",
                "check --stage, the region and the account that you are logged in to",
            )
    return OperatorFailure(f"{what} cannot be reached: {exc}", "check the network and try again")
