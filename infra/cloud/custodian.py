"""One custodian: a stack of its own, so that each may live in an account of its own.

Its keys obey its own role and nobody else: no statement names the account, so no policy of the
account can add a user (AWS KMS, "Default key policy"). docs/decisions/0050 tells what that costs.
"""

from collections.abc import Sequence

from aws_cdk import Aws, CfnCondition, CfnDeletionPolicy, CfnResource, Fn, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.cloud.code import code_asset, layer_asset
from infra.cloud.custodian_alarms import CustodianAlarms
from infra.cloud.custody import CURVES, Custody, CustodySet, custodian_room
from infra.cloud.exceptions import NO_RESOURCE, acknowledge
from infra.cloud.function_row import Layer
from infra.cloud.function_table import CUSTODIAN
from infra.cloud.functions import ARCHITECTURE, RUNTIME
from infra.cloud.grants import TRACE, Statement, allow, trust
from infra.cloud.names import Stage, logical
from infra.cloud.parameters import Parameters

LOG_RETENTION_DAYS = 365
# The bootstrap's own name for the role that CloudFormation works under (CDK, "Bootstrapping").
_DEPLOYER = (
    f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/"
    f"cdk-hnb659fds-cfn-exec-role-{Aws.ACCOUNT_ID}-{Aws.REGION}"
)
SIGNING = ("kms:Sign", "kms:GetPublicKey", "kms:DescribeKey")
# Reading, as CloudFormation does after it has made a key, and naming it once. Not UpdateAlias or
# DeleteAlias: a name, once given, stays with its key.
DEPLOYING = (
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListResourceTags",
    "kms:CreateAlias",
)
# Nothing is ever taken out of the store: no DeleteItem, no BatchWriteItem.
REMEMBERING = (
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:ConditionCheckItem",
)


class CustodianStack(Stack):
    """Custodian `number`, 1 to 5: role, keys of every custody set, store, function."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        number: int,
        custody: Custody,
        *,
        may_be_unsigned: bool,
    ) -> None:
        room = custodian_room(number)
        super().__init__(scope, room, stack_name=stage.stack(room))
        self._stage = stage
        self._number = number
        self._may_be_unsigned = may_be_unsigned
        self._name = stage.stack(room)
        self._parameters = Parameters(self, stage)
        log_group = logs.CfnLogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{self._name}",
            retention_in_days=LOG_RETENTION_DAYS,
        )
        table = self._table()
        role = self._role(log_group, table)
        for custody_set in custody.sets:
            for curve in CURVES:
                self._key(custody_set, curve, role)
        function = self._function(role, log_group, table)
        self._allow_invoker(function)
        CustodianAlarms(self, stage, number, function, log_group, table)

    def _table(self) -> dynamodb.CfnTable:
        """What this custodian has enrolled, signed and counted. Restored without it, it would sign
        a second version.
        """
        table = dynamodb.CfnTable(
            self,
            "Store",
            table_name=self._name,
            attribute_definitions=[
                dynamodb.CfnTable.AttributeDefinitionProperty(
                    attribute_name=name, attribute_type="S"
                )
                for name in ("pk", "sk")
            ],
            key_schema=[
                dynamodb.CfnTable.KeySchemaProperty(attribute_name="pk", key_type="HASH"),
                dynamodb.CfnTable.KeySchemaProperty(attribute_name="sk", key_type="RANGE"),
            ],
            billing_mode="PAY_PER_REQUEST",
            deletion_protection_enabled=True,
            point_in_time_recovery_specification=(
                dynamodb.CfnTable.PointInTimeRecoverySpecificationProperty(
                    point_in_time_recovery_enabled=True
                )
            ),
        )
        _keep(table)
        return table

    def _role(self, log_group: logs.CfnLogGroup, table: dynamodb.CfnTable) -> iam.CfnRole:
        """No KMS action here: the key policies name the role itself, and that is enough for KMS."""
        statements: Sequence[Statement] = [
            allow(("logs:CreateLogStream", "logs:PutLogEvents"), (log_group.attr_arn,)),
            allow(TRACE, ("*",)),
            allow(REMEMBERING, (table.attr_arn,)),
        ]
        role = iam.CfnRole(
            self,
            "Role",
            role_name=self._name,
            assume_role_policy_document=trust("lambda.amazonaws.com"),
            policies=[
                iam.CfnRole.PolicyProperty(
                    policy_name="custodian",
                    policy_document={"Version": "2012-10-17", "Statement": statements},
                )
            ],
        )
        # KMS stores the role's unique id: a role of the same name made anew is another one, and
        # the keys would obey nobody.
        _keep(role)
        acknowledge(role, NO_RESOURCE)
        return role

    def _key(self, custody_set: CustodySet, curve: str, role: iam.CfnRole) -> None:
        label = f"set-{custody_set.number}"
        key = kms.CfnKey(
            self,
            logical(label, curve),
            description=f"orion {self._stage.name} custodian {self._number} {label} {curve}",
            key_spec=CURVES[curve],
            key_usage="SIGN_VERIFY",
            # KMS refuses a policy under which its creator could not change the policy again.
            # That nobody can is the point here.
            bypass_policy_lockout_safety_check=True,
            key_policy={
                "Version": "2012-10-17",
                "Statement": [
                    _to(role.attr_arn, SIGNING),
                    _to(_DEPLOYER, DEPLOYING),
                ],
            },
        )
        _keep(key)
        alias = kms.CfnAlias(
            self,
            logical(label, curve, "alias"),
            alias_name=self._stage.custodian_key_alias(self._number, custody_set.number, curve),
            target_key_id=key.ref,
        )
        _keep(alias)

    def _layer(self, name: Layer) -> str:
        content = layer_asset(self, name)
        layer = lambda_.CfnLayerVersion(
            self,
            logical(name, "layer"),
            layer_name=f"{self._name}-layer-{name}",
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURE],
            content=lambda_.CfnLayerVersion.ContentProperty(
                s3_bucket=content.s3_bucket_name, s3_key=content.s3_object_key
            ),
        )
        return layer.ref

    def _function(
        self, role: iam.CfnRole, log_group: logs.CfnLogGroup, table: dynamodb.CfnTable
    ) -> lambda_.CfnFunction:
        asset = code_asset(self, CUSTODIAN)
        function = lambda_.CfnFunction(
            self,
            "Function",
            function_name=self._name,
            runtime=RUNTIME,
            architectures=[ARCHITECTURE],
            handler=f"{CUSTODIAN.file}.handler",
            code=lambda_.CfnFunction.CodeProperty(
                s3_bucket=asset.s3_bucket_name, s3_key=asset.s3_object_key
            ),
            role=role.attr_arn,
            layers=[self._layer(layer) for layer in CUSTODIAN.layers],
            memory_size=CUSTODIAN.memory_mb,
            timeout=CUSTODIAN.timeout_s,
            environment=lambda_.CfnFunction.EnvironmentProperty(
                variables={
                    "ORION_STAGE": self._stage.name,
                    "ORION_MODULE": CUSTODIAN.module,
                    "ORION_CUSTODIAN": str(self._number),
                    "ORION_CUSTODIAN_TABLE": table.ref,
                    # Read when the stack is deployed: what changes the parameter afterwards
                    # changes nothing here.
                    "ORION_CUSTODIAN_SETTINGS": self._parameters.value("custodian/settings"),
                }
            ),
            logging_config=lambda_.CfnFunction.LoggingConfigProperty(
                log_format="JSON", log_group=log_group.ref
            ),
            tracing_config=lambda_.CfnFunction.TracingConfigProperty(mode="Active"),
        )
        function.add_property_override("CodeSigningConfigArn", self._code_signing())
        function.add_resource_dependency(log_group)
        return function

    def _code_signing(self) -> object:
        """The configuration that the parameter names. Its word `none` is no ARN: Lambda refuses it,
        and with it the deployment, unless the stage was synthesized to do without.
        """
        arn = self._parameters.value("custodian/code-signing-arn")
        if not self._may_be_unsigned:
            return arn
        signed = self._given("CodeSigned", "custodian/code-signing-arn")
        return Fn.condition_if(signed.logical_id, arn, {"Ref": "AWS::NoValue"})

    def _allow_invoker(self, function: lambda_.CfnFunction) -> None:
        permission = lambda_.CfnPermission(
            self,
            "Invoker",
            action="lambda:InvokeFunction",
            function_name=function.ref,
            principal=self._parameters.value("custodian/invoker-arn"),
        )
        permission.cfn_options.condition = self._given("Invoked", "custodian/invoker-arn")

    def _given(self, name: str, parameter: str) -> CfnCondition:
        """True unless the parameter says `none`."""
        absent = Fn.condition_equals(self._parameters.value(parameter), "none")
        return CfnCondition(self, name, expression=Fn.condition_not(absent))


def _to(principal_arn: str, actions: Sequence[str]) -> Statement:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": principal_arn},
        "Action": list(actions),
        "Resource": "*",
    }


def _keep(resource: CfnResource) -> None:
    """Leave it where it is when the stack goes, even when its making fails half-way."""
    resource.cfn_options.deletion_policy = CfnDeletionPolicy.RETAIN
    resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
