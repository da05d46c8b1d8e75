"""The Lambda functions with their roles, log groups and layers, made from the function table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from aws_cdk import Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.cloud.code import code_asset, layer_asset
from infra.cloud.function_row import FunctionRow, Layer
from infra.cloud.grants import statements, trust
from infra.cloud.names import Stage, logical
from infra.cloud.parameters import Parameters
from infra.cloud.queues import Queues
from layers.build import PYTHON_VERSION

T = TypeVar("T")

RUNTIME = f"python{PYTHON_VERSION}"
ARCHITECTURE = "x86_64"
LOG_RETENTION_DAYS = 30


class WrongStack(ValueError):
    """A row of the function table stands in a stack without the bucket or API that it uses."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What only one stack has and its functions may use; None in the others."""

    audit: s3.CfnBucket | None = None
    ledger_book: s3.CfnBucket | None = None
    sockets_arn: str | None = None


class Functions(Construct):
    """`made[(module/file, lane or None)]` is the CfnFunction of each of `rows`."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        rows: Sequence[FunctionRow],
        parameters: Parameters,
        queues: Queues,
        held: Holdings,
    ) -> None:
        super().__init__(scope, "Functions")
        self._stage = stage
        self._parameters = parameters
        self._queue_arns = queues.arns(stage)
        self._held = held
        self._layers: dict[Layer, lambda_.CfnLayerVersion] = {}
        self.made: dict[tuple[str, str | None], lambda_.CfnFunction] = {}
        for row in rows:
            asset = code_asset(self, row)
            code = lambda_.CfnFunction.CodeProperty(
                s3_bucket=asset.s3_bucket_name, s3_key=asset.s3_object_key
            )
            for lane in row.lanes or (None,):
                self.made[(row.name, lane)] = self._function(row, lane, code)

    def arn(self, name: str, lane: str | None = None) -> str:
        return self.made[(name, lane)].attr_arn

    def _layer(self, name: Layer, stack: str) -> str:
        """Published by each stack for itself, so that one deployment changes a function and what it
        imports together.
        """
        if name not in self._layers:
            content = layer_asset(self, name)
            self._layers[name] = lambda_.CfnLayerVersion(
                self,
                logical(name, "layer"),
                layer_name=self._stage.own(stack, f"layer-{name}".replace("_", "-")),
                compatible_runtimes=[RUNTIME],
                compatible_architectures=[ARCHITECTURE],
                content=lambda_.CfnLayerVersion.ContentProperty(
                    s3_bucket=content.s3_bucket_name, s3_key=content.s3_object_key
                ),
            )
        return self._layers[name].ref

    def _function(
        self, row: FunctionRow, lane: str | None, code: lambda_.CfnFunction.CodeProperty
    ) -> lambda_.CfnFunction:
        name = self._stage.function(row.module, row.file, lane)
        base = logical(row.module, row.file, lane or "")
        log_group = logs.CfnLogGroup(
            self,
            f"{base}Logs",
            log_group_name=f"/aws/lambda/{name}",
            retention_in_days=LOG_RETENTION_DAYS,
        )
        role = self._role(row, base, name, log_group.attr_arn)
        environment = {"ORION_STAGE": self._stage.name, "ORION_MODULE": row.module}
        if lane is not None:
            environment["ORION_LANE"] = lane
        if row.writes_audit:
            environment["ORION_AUDIT_BUCKET"] = _held(self._held.audit, row).ref
        if row.uses_ledger_book:
            environment["ORION_LEDGER_BOOK_BUCKET"] = _held(self._held.ledger_book, row).ref
        function = lambda_.CfnFunction(
            self,
            base,
            function_name=name,
            runtime=RUNTIME,
            architectures=[ARCHITECTURE],
            handler=f"{row.file}.handler",
            code=code,
            role=role.attr_arn,
            layers=[self._layer(layer, row.stack) for layer in row.layers],
            memory_size=row.memory_mb,
            timeout=row.timeout_s,
            reserved_concurrent_executions=row.reserved.get(lane),
            environment=lambda_.CfnFunction.EnvironmentProperty(variables=environment),
            logging_config=lambda_.CfnFunction.LoggingConfigProperty(
                log_format="JSON", log_group=log_group.ref
            ),
            tracing_config=lambda_.CfnFunction.TracingConfigProperty(mode="Active"),
        )
        if row.in_vpc:
            function.add_property_override("VpcConfig", self._network())
        function.add_resource_dependency(log_group)
        return function

    def _network(self) -> object:
        """Inside the VPC where the stage has one; Lambda's own network where `network/vpc-id` is
        `none`.
        """
        return Fn.condition_if(
            self._parameters.in_vpc.logical_id,
            {
                "SubnetIds": Fn.split(",", self._parameters.value("network/subnet-ids")),
                "SecurityGroupIds": [self._parameters.value("network/security-group-id")],
            },
            {"Ref": "AWS::NoValue"},
        )

    def _role(self, row: FunctionRow, base: str, name: str, log_group_arn: str) -> iam.CfnRole:
        granted = statements(
            self._stage,
            row,
            self._parameters,
            log_group_arn=log_group_arn,
            queue_arns=self._queue_arns,
            audit_bucket_arn=_held(self._held.audit, row).attr_arn if row.writes_audit else "",
            ledger_book_arn=(
                _held(self._held.ledger_book, row).attr_arn if row.uses_ledger_book else ""
            ),
            sockets_arn=_held(self._held.sockets_arn, row) if row.posts_to_sockets else "",
        )
        return iam.CfnRole(
            self,
            f"{base}Role",
            role_name=name,
            assume_role_policy_document=trust("lambda.amazonaws.com"),
            policies=[
                iam.CfnRole.PolicyProperty(
                    policy_name="row",
                    policy_document={"Version": "2012-10-17", "Statement": granted},
                )
            ],
        )


def _held(found: T | None, row: FunctionRow) -> T:
    if found is None:
        raise WrongStack(f"{row.name} needs what the stack {row.stack} does not have")
    return found
