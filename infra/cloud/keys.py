"""The stage's KMS keys, and the SSM parameters by which the other stacks know them."""

from collections.abc import Sequence

from aws_cdk import Aws, CfnDeletionPolicy, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.cloud.function_table import FUNCTIONS, FunctionRow
from infra.cloud.grants import DECRYPT, ENCRYPT, Statement
from infra.cloud.names import Stage, logical

# Whoever administers the account may manage the key but not use it, nor hand its use on:
# no Encrypt, no Decrypt, no CreateGrant.
_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)


def _account(statement: Statement) -> Statement:
    root = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:root"
    return {"Effect": "Allow", "Principal": {"AWS": root}, "Resource": "*", **statement}


def role_arn(name: str) -> str:
    return f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/{name}"


def _roles(stage: Stage, rows: Sequence[FunctionRow]) -> list[str]:
    return [
        role_arn(stage.function(row.module, row.file, lane))
        for row in rows
        for lane in (row.lanes or (None,))
    ]


def _use(actions: Sequence[str], roles: Sequence[str]) -> Statement:
    """Use by named roles only.

    The roles come with a later stack, and KMS refuses a policy that names a role which does not
    exist yet;
    a condition on the caller's ARN may name it before. The role's own policy must allow the use as
    well.
    """
    return _account(
        {
            "Action": list(actions),
            "Condition": {"ArnEquals": {"aws:PrincipalArn": list(roles)}},
        }
    )


class KeysStack(Stack):
    """wallet-seeds, webhook-secrets and service-secrets (what Secrets Manager encrypts with)."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "keys", stack_name=stage.stack("keys"))
        self._stage = stage
        for purpose in ("wallet-seeds", "webhook-secrets"):
            encrypting = [row for row in FUNCTIONS if purpose in row.encrypts]
            decrypting = [row for row in FUNCTIONS if purpose in row.decrypts]
            self._key(
                purpose,
                [
                    _use(ENCRYPT, _roles(stage, encrypting)),
                    _use(DECRYPT, _roles(stage, decrypting)),
                ],
            )
        through_secrets_manager = {
            "StringEquals": {
                "kms:CallerAccount": Aws.ACCOUNT_ID,
                "kms:ViaService": f"secretsmanager.{Aws.REGION}.{Aws.URL_SUFFIX}",
            }
        }
        self._key(
            "service-secrets",
            [
                _account(
                    {
                        "Action": [
                            "kms:Encrypt",
                            "kms:Decrypt",
                            "kms:GenerateDataKey*",
                            "kms:CreateGrant",
                        ],
                        "Condition": through_secrets_manager,
                    }
                )
            ],
        )

    def _key(self, purpose: str, use: Sequence[Statement]) -> None:
        key = kms.CfnKey(
            self,
            logical(purpose),
            description=f"orion {self._stage.name} {purpose}",
            enable_key_rotation=True,
            pending_window_in_days=30,
            key_policy={
                "Version": "2012-10-17",
                "Statement": [_account({"Action": list(_ADMINISTRATION)}), *use],
            },
        )
        # Losing a key loses every seed and secret under it: a removed stack leaves its keys.
        key.cfn_options.deletion_policy = CfnDeletionPolicy.RETAIN_EXCEPT_ON_CREATE
        key.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        kms.CfnAlias(
            self,
            logical(purpose, "alias"),
            alias_name=self._stage.key_alias(purpose),
            target_key_id=key.ref,
        )
        ssm.CfnParameter(
            self,
            logical(purpose, "arn"),
            name=self._stage.parameter(f"keys/{purpose}-arn"),
            type="String",
            value=key.attr_arn,
        )
