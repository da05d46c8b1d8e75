"""What an organization denies above the accounts of keys and custodians: nobody but a deployment
takes the place of a role, a function or a key's name, or changes what they believe.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest

from infra.cloud.custody import ENROLLED_PARAMETER
from infra.cloud.names import ROOT

Template = Mapping[str, Any]
POLICY = json.loads((ROOT / "infra" / "organization" / "custody-scp.json").read_text())
STATEMENTS: Sequence[Mapping[str, Any]] = POLICY["Statement"]
ACCOUNT = "111122223333"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-eu-west-1"
CDK_DEPLOY = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-deploy-role-{ACCOUNT}-eu-west-1"
PIPELINE = f"arn:aws:iam::{ACCOUNT}:role/orion-pipeline"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/orion-prod-custody-operator"
ROOT_USER = f"arn:aws:iam::{ACCOUNT}:root"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/administrator"
TAKING_A_ROLE = (
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
)
# The file's exceptions: names of the bootstrap, and one of docs/operations/custody.md.
EXECUTION_ROLES = "arn:aws:iam::*:role/cdk-hnb659fds-cfn-exec-role-*"
DEPLOY_ROLES = "arn:aws:iam::*:role/cdk-hnb659fds-deploy-role-*"
PIPELINE_ROLES = "arn:aws:iam::*:role/orion-pipeline"
CUSTODIAN_ROLES = "arn:aws:iam::*:role/orion-*-custodian-*"
EXCEPTIONS: Mapping[str, set[str]] = {
    "RolesOnlyByDeployment": {EXECUTION_ROLES},
    "CodeOnlyByDeployment": {EXECUTION_ROLES},
    "SigningConfigurationOnlyByDeployment": {EXECUTION_ROLES},
    "KeyNamesOnlyByDeployment": {EXECUTION_ROLES},
    "StoresOnlyByTheirCustodian": {EXECUTION_ROLES, CUSTODIAN_ROLES},
    "WatchOnlyByDeployment": {EXECUTION_ROLES},
    "DeploymentRoleStaysAsBootstrapped": set(),
    "DeploymentRoleOnlyForThePipeline": {DEPLOY_ROLES},
    "BootstrapRolesOnlyForThePipeline": {PIPELINE_ROLES},
    "StacksOnlyByThePipeline": {DEPLOY_ROLES},
    "ParametersOnlyByDeployment": {EXECUTION_ROLES, PIPELINE_ROLES},
}
# What CloudFormation does to an existing stack under the role that it knows, without PassRole.
CHANGING_A_STACK = (
    "cloudformation:CancelUpdateStack",
    "cloudformation:ContinueUpdateRollback",
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:RollbackStack",
    "cloudformation:SetStackPolicy",
    "cloudformation:UpdateStack",
)
CHANGING_A_PARAMETER = (
    "ssm:AddTagsToResource",
    "ssm:DeleteParameter",
    "ssm:DeleteParameters",
    "ssm:LabelParameterVersion",
    "ssm:PutParameter",
)
# Those that people or the pipeline write; no template makes them.
BELIEVED = (
    "custodian/settings",
    "custodian/invoker-arn",
    "custodian/code-signing-arn",
    "custody/groups",
    "custody/solana-fee-payer",
    "policy/confirmations",
    "policy/executor-float",
    "policy/sweep-fee-max",
)
# By type: the ARN's form, the property that names the resource, and what would replace it.
GUARDED: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "AWS::IAM::Role": (f"arn:aws:iam::{ACCOUNT}:role/{{}}", "RoleName", TAKING_A_ROLE),
    "AWS::Lambda::Function": (
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{{}}",
        "FunctionName",
        (
            "lambda:AddPermission",
            "lambda:DeleteFunction",
            "lambda:DeleteFunctionCodeSigningConfig",
            "lambda:PutFunctionCodeSigningConfig",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
        ),
    ),
    "AWS::KMS::Alias": (
        f"arn:aws:kms:eu-west-1:{ACCOUNT}:{{}}",
        "AliasName",
        ("kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"),
    ),
    "AWS::DynamoDB::Table": (
        f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/{{}}",
        "TableName",
        ("dynamodb:DeleteItem", "dynamodb:DeleteTable", "dynamodb:PutItem", "dynamodb:UpdateItem"),
    ),
    "AWS::Logs::LogGroup": (
        f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:{{}}",
        "LogGroupName",
        ("logs:DeleteLogGroup", "logs:DeleteMetricFilter"),
    ),
    "AWS::CloudWatch::Alarm": (
        f"arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:{{}}",
        "AlarmName",
        ("cloudwatch:DeleteAlarms", "cloudwatch:DisableAlarmActions", "cloudwatch:PutMetricAlarm"),
    ),
    "AWS::Events::Rule": (
        f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/{{}}",
        "Name",
        ("events:DeleteRule", "events:DisableRule", "events:RemoveTargets"),
    ),
    "AWS::SSM::Parameter": (
        f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter{{}}",
        "Name",
        CHANGING_A_PARAMETER,
    ),
    "AWS::SNS::Topic": (
        f"arn:aws:sns:eu-west-1:{ACCOUNT}:{{}}",
        "TopicName",
        ("sns:DeleteTopic", "sns:SetTopicAttributes"),
    ),
}
# Guarded by what they belong to (key policy, function, log group, topic), or never changed once
# published.
BELONGING = {
    "AWS::KMS::Key",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::MetricFilter",
    "AWS::SNS::TopicPolicy",
    "AWS::CDK::Metadata",
}


def listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def denied(principal: str, action: str, arn: str) -> bool:
    """Whether the policy denies, as IAM reads it: `*` in an ARN stands for anything."""
    for statement in STATEMENTS:
        free = statement.get("Condition", {}).get("ArnNotLike", {}).get("aws:PrincipalArn", [])
        if (
            action in listed(statement["Action"])
            and any(fnmatchcase(arn, pattern) for pattern in listed(statement["Resource"]))
            and not any(fnmatchcase(principal, pattern) for pattern in listed(free))
        ):
            return True
    return False


def guarded(template: Template) -> Iterator[tuple[str, tuple[str, ...]]]:
    """ARN and actions of every resource that somebody could take the place of."""
    for resource in template["Resources"].values():
        kind = resource["Type"]
        if kind not in BELONGING:
            form, name, actions = GUARDED[kind]
            yield form.format(resource["Properties"][name]), actions


def refused_to_all_but_a_deployment(arns: Iterator[tuple[str, tuple[str, ...]]]) -> int:
    count = 0
    for arn, actions in arns:
        for action in actions:
            assert denied(ADMINISTRATOR, action, arn), (action, arn)
            assert not denied(DEPLOYER, action, arn), (action, arn)
            count += 1
    return count


def test_nobody_but_a_deployment_takes_the_place_of_a_custodians_resource(
    custodians: Mapping[int, Template],
) -> None:
    for template in custodians.values():
        assert refused_to_all_but_a_deployment(guarded(template))


def test_nobody_but_a_deployment_takes_the_place_of_a_key_or_the_operator(keys: Template) -> None:
    assert refused_to_all_but_a_deployment(guarded(keys))


def test_nobody_but_a_deployment_makes_or_changes_a_role_that_a_key_obeys_by_its_name(
    keys: Template, serverless: Template
) -> None:
    named = set()
    for resource in keys["Resources"].values():
        if resource["Type"] == "AWS::KMS::Key":
            for statement in resource["Properties"]["KeyPolicy"]["Statement"]:
                condition = statement.get("Condition", {}).get("ArnEquals", {})
                for arn in condition.get("aws:PrincipalArn", []):
                    named.add(arn["Fn::Join"][1][-1].removeprefix(":role/"))
    arns = ((f"arn:aws:iam::{ACCOUNT}:role/{name}", TAKING_A_ROLE) for name in named)
    assert refused_to_all_but_a_deployment(arns) == len(named) * len(TAKING_A_ROLE) > 0
    functions = GUARDED["AWS::Lambda::Function"]
    codes = (
        (functions[0].format(resource["Properties"]["FunctionName"]), functions[2])
        for resource in serverless["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    )
    assert refused_to_all_but_a_deployment(codes)


def test_a_custodian_writes_its_store_and_an_administrator_does_not(
    custodians: Mapping[int, Template],
) -> None:
    for number in custodians:
        role = f"arn:aws:iam::{ACCOUNT}:role/orion-prod-custodian-{number}"
        table = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/orion-prod-custodian-{number}"
        assert not denied(role, "dynamodb:PutItem", table)
        assert denied(ADMINISTRATOR, "dynamodb:PutItem", table)


@pytest.mark.parametrize("action", [action for action in TAKING_A_ROLE if "Pass" not in action])
def test_nobody_at_all_changes_the_role_that_deploys(action: str) -> None:
    for caller in (ADMINISTRATOR, DEPLOYER, CDK_DEPLOY):
        assert denied(caller, action, DEPLOYER)
        assert denied(caller, action, CDK_DEPLOY)


def test_only_the_pipeline_hands_the_deploying_role_to_cloudformation() -> None:
    assert denied(ADMINISTRATOR, "iam:PassRole", DEPLOYER)
    assert not denied(CDK_DEPLOY, "iam:PassRole", DEPLOYER)


def test_each_statement_lets_through_exactly_whom_it_names() -> None:
    found = {}
    for statement in STATEMENTS:
        condition = statement.get("Condition", {"ArnNotLike": {"aws:PrincipalArn": []}})
        assert set(condition) == {"ArnNotLike"}
        assert set(condition["ArnNotLike"]) == {"aws:PrincipalArn"}
        found[statement["Sid"]] = set(listed(condition["ArnNotLike"]["aws:PrincipalArn"]))
    assert len(found) == len(STATEMENTS)
    assert found == EXCEPTIONS


@pytest.mark.parametrize("action", CHANGING_A_STACK)
def test_only_the_role_that_deploys_changes_a_stack_which_knows_its_role(action: str) -> None:
    for name in ("orion-prod-keys", "orion-prod-wallets", "orion-prod-custodian-3"):
        stack = f"arn:aws:cloudformation:eu-west-1:{ACCOUNT}:stack/{name}/0e6cc0f0"
        for caller in (ADMINISTRATOR, ROOT_USER, OPERATOR, PIPELINE, DEPLOYER):
            assert denied(caller, action, stack), caller
        assert not denied(CDK_DEPLOY, action, stack)


@pytest.mark.parametrize("role", ["deploy", "cfn-exec", "file-publishing", "lookup"])
def test_only_the_pipeline_becomes_a_role_of_the_bootstrap(role: str) -> None:
    # But for cfn-exec they trust their account's root: every principal of it that may assume.
    arn = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-{role}-role-{ACCOUNT}-eu-west-1"
    lookalike = f"arn:aws:iam::{ACCOUNT}:role/orion-pipeline-2"
    for caller in (ADMINISTRATOR, ROOT_USER, OPERATOR, CDK_DEPLOY, lookalike):
        assert denied(caller, "sts:AssumeRole", arn), caller
    assert not denied(PIPELINE, "sts:AssumeRole", arn)


def test_nobody_but_a_deployment_makes_or_changes_the_pipelines_role() -> None:
    assert refused_to_all_but_a_deployment(iter([(PIPELINE, TAKING_A_ROLE)]))
    assert denied(PIPELINE, "iam:UpdateAssumeRolePolicy", PIPELINE)


@pytest.mark.parametrize("action", CHANGING_A_PARAMETER)
def test_only_a_deployment_writes_what_custodians_and_kms_believe(action: str) -> None:
    for name in BELIEVED:
        arn = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/orion/prod/{name}"
        for caller in (ADMINISTRATOR, ROOT_USER, OPERATOR, CDK_DEPLOY):
            assert denied(caller, action, arn), (caller, name)
        for caller in (PIPELINE, DEPLOYER):
            assert not denied(caller, action, arn), (caller, name)


def test_the_operator_still_says_which_sets_are_enrolled() -> None:
    arn = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/orion/prod/{ENROLLED_PARAMETER}"
    assert not denied(OPERATOR, "ssm:PutParameter", arn)


def test_code_signing_is_deployed_and_nobody_else_names_it(signing: Template) -> None:
    named = [
        (
            GUARDED["AWS::SSM::Parameter"][0].format(resource["Properties"]["Name"]),
            CHANGING_A_PARAMETER,
        )
        for resource in signing["Resources"].values()
        if resource["Type"] == "AWS::SSM::Parameter"
    ]
    assert len(named) == 1
    assert refused_to_all_but_a_deployment(iter(named))


def test_the_policy_only_denies_and_fits_into_an_organization() -> None:
    assert {statement["Effect"] for statement in STATEMENTS} == {"Deny"}
    # AWS Organizations, "Quotas": 5,120 characters without white space outside of quotes.
    assert len(json.dumps(POLICY, separators=(",", ":"))) <= 5_120
