"""The stage's KMS keys, and the SSM parameters by which the other stacks know them. Custodians'
keys are in stacks of their own.
"""

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, CfnDeletionPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.cloud.custody import (
    CURVES,
    CUSTODIANS,
    ENROLLED_PARAMETER,
    ENROLMENT,
    ISSUERS,
    custodian_room,
)
from infra.cloud.function_row import FunctionRow
from infra.cloud.function_table import FUNCTIONS
from infra.cloud.function_table_books import COMMANDS_OF_RECONCILIATION, LEDGER_ROOTS
from infra.cloud.grants import DECRYPT, ENCRYPT, READ_PUBLIC, SIGN, Statement, allow
from infra.cloud.names import Stage, logical

OPERATOR = "custody-operator"
ENVELOPES = (
    "wallet-seeds",
    "webhook-secrets",
    "sweep-bitcoin",
    "sweep-ethereum",
    "sweep-tron",
    "sweep-solana",
)
# What signs for a float, each with its key spec.
EXECUTORS: Mapping[str, str] = {
    "executor-ethereum": CURVES["secp256k1"],
    "fee-payer-solana": CURVES["ed25519"],
}
# What functions sign for others to check: the log book's roots, commands to nodes.
ATTESTORS = (LEDGER_ROOTS, COMMANDS_OF_RECONCILIATION)
ISSUER_SPEC = "ECC_NIST_P256"  # docs/custody.md, "Evidence".

# Whoever administers the account may manage the key but not use it, nor hand its use on, nor put
# another key under its name: no Encrypt, no Decrypt, no CreateGrant, no alias.
_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
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
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
# Who may use a key, and which key a name means. Both are a deployment's.
_DEPLOYMENT = ("kms:PutKeyPolicy", "kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias")
# Nothing rotates an asymmetric key in place; its public half is nobody's secret.
_SIGNER_ADMINISTRATION = (
    *(action for action in _ADMINISTRATION if action != "kms:EnableKeyRotation"),
    "kms:GetPublicKey",
)


def _account(statement: Statement) -> Statement:
    root = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:root"
    return {"Effect": "Allow", "Principal": {"AWS": root}, "Resource": "*", **statement}


def _to(principal_arn: str, actions: Sequence[str]) -> Statement:
    """To a role that exists already. KMS keeps its unique id, so that a role which somebody makes
    anew under the same name is a stranger (AWS KMS, "Key policies", "Principal").
    """
    return {
        "Effect": "Allow",
        "Principal": {"AWS": principal_arn},
        "Action": list(actions),
        "Resource": "*",
    }


def role_arn(name: str) -> str:
    return f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/{name}"


def _roles(stage: Stage, rows: Sequence[FunctionRow]) -> list[str]:
    return [
        role_arn(stage.function(row.module, row.file, lane))
        for row in rows
        for lane in (row.lanes or (None,))
    ]


def _use(actions: Sequence[str], roles: Sequence[str]) -> Statement:
    """Use by functions' roles, which the serverless stack makes later: KMS refuses a principal that
    does not exist yet, a condition on the caller's ARN may name it before. The role's own policy
    must allow the use as well.

    Only for roles that a template makes: a name that nobody has yet is whoever takes it first.
    Who may take one of these names is the organization's to say (docs/decisions/0050).
    """
    return _account(
        {
            "Action": list(actions),
            "Condition": {"ArnEquals": {"aws:PrincipalArn": list(roles)}},
        }
    )


def deployer_arn() -> str:
    """The role that CloudFormation works under, by the name that CDK's bootstrap gives it."""
    return role_arn(f"cdk-hnb659fds-cfn-exec-role-{Aws.ACCOUNT_ID}-{Aws.REGION}")


def _policy(administration: Sequence[str], use: Sequence[Statement]) -> dict[str, object]:
    """Only a deployment changes a policy: an administrator who could would decrypt a minute later.
    Whoever may deploy still can, through a change of the stack that everybody sees.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            _account({"Action": list(administration)}),
            _to(deployer_arn(), _DEPLOYMENT),
            *use,
        ],
    }


class KeysStack(Stack):
    """Envelope keys, signing keys, and service-secrets (what Secrets Manager encrypts with)."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "keys", stack_name=stage.stack("keys"))
        self._stage = stage
        for purpose in ENVELOPES:
            encrypting = [row for row in FUNCTIONS if purpose in row.encrypts]
            decrypting = [row for row in FUNCTIONS if purpose in row.decrypts]
            self._envelope(
                purpose,
                [
                    _use(ENCRYPT, _roles(stage, encrypting)),
                    _use(DECRYPT, _roles(stage, decrypting)),
                ],
            )
        self._envelope("service-secrets", [_through_secrets_manager()])
        for purpose, spec in EXECUTORS.items():
            rows = [row for row in FUNCTIONS if purpose in row.signs]
            self._signer(purpose, spec, [_use(SIGN, _roles(stage, rows))])
        for purpose in ATTESTORS:
            self._signer(purpose, ISSUER_SPEC, self._attesting(purpose))
        # Who signs as an issuer, by a role of this stack. The other issuers' modules are still to
        # come: until then nobody signs as they do, under whatever name.
        signing = {ENROLMENT: self._operator()}
        for issuer in ISSUERS:
            use = [_to(signing[issuer].attr_arn, SIGN)] if issuer in signing else []
            self._signer(issuer, ISSUER_SPEC, use)

    def _attesting(self, purpose: str) -> list[Statement]:
        """The public half besides, for those who check: beside them only who administers has it."""
        signing = _roles(self._stage, [row for row in FUNCTIONS if purpose in row.signs])
        reading = _roles(self._stage, [row for row in FUNCTIONS if purpose in row.reads_keys])
        granted = ((SIGN, signing), (READ_PUBLIC, reading))
        return [_use(actions, roles) for actions, roles in granted if roles]

    def _envelope(self, purpose: str, use: Sequence[Statement]) -> None:
        key = kms.CfnKey(
            self,
            logical(purpose),
            description=f"orion {self._stage.name} {purpose}",
            enable_key_rotation=True,
            pending_window_in_days=30,
            key_policy=_policy(_ADMINISTRATION, use),
        )
        self._publish(purpose, key)

    def _signer(self, purpose: str, spec: str, use: Sequence[Statement]) -> None:
        key = kms.CfnKey(
            self,
            logical(purpose),
            description=f"orion {self._stage.name} {purpose}",
            key_spec=spec,
            key_usage="SIGN_VERIFY",
            pending_window_in_days=30,
            key_policy=_policy(_SIGNER_ADMINISTRATION, use),
        )
        self._publish(purpose, key)

    def _publish(self, purpose: str, key: kms.CfnKey) -> None:
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

    def _operator(self) -> iam.CfnRole:
        """Who enrols custody sets (docs/operations/custody.md): people of this account with a
        second factor, in sessions of an hour. The policy of the key `custody-enrolment` names the
        role, which is enough for KMS; no other key does.
        """
        functions = f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{Aws.ACCOUNT_ID}:function"
        parameters = f"arn:{Aws.PARTITION}:ssm:{Aws.REGION}:{Aws.ACCOUNT_ID}:parameter"
        enrolled = self._stage.parameter(ENROLLED_PARAMETER).removeprefix("/")
        called = [
            *(self._stage.stack(custodian_room(number)) for number in CUSTODIANS),
            # These believe signed statements and not their caller.
            *(
                self._stage.function("kms", file)
                for file in ("custody_sets", "custody_on_chain", "custody_rotated")
            ),
        ]
        return iam.CfnRole(
            self,
            "CustodyOperator",
            role_name=self._stage.stack(OPERATOR),
            max_session_duration=3600,
            assume_role_policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:root"},
                        "Action": "sts:AssumeRole",
                        "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
                    }
                ],
            },
            policies=[
                iam.CfnRole.PolicyProperty(
                    policy_name="enrolment",
                    policy_document={
                        "Version": "2012-10-17",
                        "Statement": [
                            allow(
                                ("lambda:InvokeFunction",),
                                [f"{functions}:{name}" for name in called],
                            ),
                            # Which sets are enrolled, for the next deployment.
                            allow(("ssm:PutParameter",), (f"{parameters}/{enrolled}",)),
                        ],
                    },
                )
            ],
        )


def _through_secrets_manager() -> Statement:
    return _account(
        {
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:CreateGrant"],
            "Condition": {
                "StringEquals": {
                    "kms:CallerAccount": Aws.ACCOUNT_ID,
                    "kms:ViaService": f"secretsmanager.{Aws.REGION}.{Aws.URL_SUFFIX}",
                }
            },
        }
    )
