"""A custodian's stack: whom its keys obey, what it forgets, what it may do beside signing."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.cloud.custody import CURVES, CUSTODIANS, CustodyMalformed, custody, read_custody
from infra.cloud.synth import template_path

Template = Mapping[str, Any]
SETS = custody().sets
DEPLOYER = {
    "Fn::Join": [
        "",
        [
            "arn:",
            {"Ref": "AWS::Partition"},
            ":iam::",
            {"Ref": "AWS::AccountId"},
            ":role/cdk-hnb659fds-cfn-exec-role-",
            {"Ref": "AWS::AccountId"},
            "-",
            {"Ref": "AWS::Region"},
        ],
    ]
}
KEY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": {"Fn::GetAtt": ["Role", "Arn"]}},
            "Action": ["kms:Sign", "kms:GetPublicKey", "kms:DescribeKey"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Principal": {"AWS": DEPLOYER},
            "Action": [
                "kms:DescribeKey",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListResourceTags",
                "kms:CreateAlias",
            ],
            "Resource": "*",
        },
    ],
}


def of_type(template: Template, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource


def one(template: Template, kind: str) -> Mapping[str, Any]:
    [(_, resource)] = of_type(template, kind)
    return dict(resource["Properties"])


def test_every_set_has_one_key_a_curve_in_every_custodians_stack(
    custodians: Mapping[int, Template],
) -> None:
    assert set(custodians) == set(CUSTODIANS) == {1, 2, 3, 4, 5}
    for number, template in custodians.items():
        made = dict(of_type(template, "AWS::KMS::Key"))
        aliases = {
            resource["Properties"]["AliasName"]: resource["Properties"]["TargetKeyId"]["Ref"]
            for _, resource in of_type(template, "AWS::KMS::Alias")
        }
        assert len(made) == len(SETS) * len(CURVES)
        for each in SETS:
            for curve, spec in CURVES.items():
                alias = f"alias/orion/prod/custodian-{number}/set-{each.number}/{curve}"
                properties = made[aliases[alias]]["Properties"]
                assert (properties["KeySpec"], properties["KeyUsage"]) == (spec, "SIGN_VERIFY")


def test_a_custodians_key_obeys_its_role_and_lets_a_deployment_look_and_name(
    custodians: Mapping[int, Template],
) -> None:
    for template in custodians.values():
        for _, resource in of_type(template, "AWS::KMS::Key"):
            properties = resource["Properties"]
            assert properties["KeyPolicy"] == KEY_POLICY
            assert ":root" not in json.dumps(properties)
            assert properties["BypassPolicyLockoutSafetyCheck"] is True


def test_no_other_stack_names_a_custodians_key(
    custodians: Mapping[int, Template], serverless: Template, keys: Template
) -> None:
    for template in (serverless, keys):
        assert "/set-" not in json.dumps(template)
    for number, template in custodians.items():
        others = [f"custodian-{other}" for other in CUSTODIANS if other != number]
        assert not any(other in json.dumps(template) for other in others)


def test_keys_role_and_store_stay_when_the_stack_goes_or_fails_half_way(
    custodians: Mapping[int, Template],
) -> None:
    kinds = ("AWS::KMS::Key", "AWS::KMS::Alias", "AWS::IAM::Role", "AWS::DynamoDB::Table")
    for template in custodians.values():
        for kind in kinds:
            for name, resource in of_type(template, kind):
                assert resource["DeletionPolicy"] == "Retain", name
                assert resource["UpdateReplacePolicy"] == "Retain", name


def test_the_store_can_be_restored_to_any_second_and_not_removed(
    custodians: Mapping[int, Template],
) -> None:
    for number, template in custodians.items():
        table = one(template, "AWS::DynamoDB::Table")
        assert table["TableName"] == f"orion-prod-custodian-{number}"
        assert table["DeletionProtectionEnabled"] is True
        recovery = table["PointInTimeRecoverySpecification"]
        assert recovery == {"PointInTimeRecoveryEnabled": True}
        assert [(each["AttributeName"], each["KeyType"]) for each in table["KeySchema"]] == [
            ("pk", "HASH"),
            ("sk", "RANGE"),
        ]


def test_a_custodian_may_remember_and_log_and_nothing_else_by_its_own_policy(
    custodians: Mapping[int, Template],
) -> None:
    for template in custodians.values():
        role = one(template, "AWS::IAM::Role")
        [trusted] = role["AssumeRolePolicyDocument"]["Statement"]
        assert trusted["Principal"] == {"Service": "lambda.amazonaws.com"}
        [document] = [policy["PolicyDocument"] for policy in role["Policies"]]
        granted = {
            action: row["Resource"] for row in document["Statement"] for action in row["Action"]
        }
        store = [{"Fn::GetAtt": ["Store", "Arn"]}]
        assert granted == {
            "logs:CreateLogStream": [{"Fn::GetAtt": ["Logs", "Arn"]}],
            "logs:PutLogEvents": [{"Fn::GetAtt": ["Logs", "Arn"]}],
            "xray:PutTraceSegments": ["*"],
            "xray:PutTelemetryRecords": ["*"],
            "dynamodb:GetItem": store,
            "dynamodb:BatchGetItem": store,
            "dynamodb:PutItem": store,
            "dynamodb:UpdateItem": store,
            "dynamodb:ConditionCheckItem": store,
        }


def test_settings_are_pinned_when_the_stack_is_deployed(
    custodians: Mapping[int, Template],
) -> None:
    for number, template in custodians.items():
        variables = one(template, "AWS::Lambda::Function")["Environment"]["Variables"]
        assert variables == {
            "ORION_STAGE": "prod",
            "ORION_MODULE": "kms",
            "ORION_CUSTODIAN": str(number),
            "ORION_CUSTODIAN_TABLE": {"Ref": "Store"},
            "ORION_CUSTODIAN_SETTINGS": {"Ref": "SsmCustodianSettings"},
        }
        parameter = template["Parameters"]["SsmCustodianSettings"]
        assert parameter["Type"] == "AWS::SSM::Parameter::Value<String>"
        assert parameter["Default"] == "/orion/prod/custodian/settings"


def test_a_custodian_carries_no_code_that_derives_private_keys(
    custodians: Mapping[int, Template],
) -> None:
    for number, template in custodians.items():
        layers = dict(of_type(template, "AWS::Lambda::LayerVersion"))
        carried = {
            layers[layer["Ref"]]["Properties"]["LayerName"]
            for layer in one(template, "AWS::Lambda::Function")["Layers"]
        }
        own = f"orion-prod-custodian-{number}-layer-"
        assert carried == {f"{own}{name}" for name in ("orion", "base", "ethereum", "keys")}


def unless_none(parameter: str) -> Mapping[str, Any]:
    return {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, "none"]}]}


def test_a_custodian_runs_code_of_a_signing_configuration_whatever_its_parameter_says(
    custodians: Mapping[int, Template],
) -> None:
    for template in custodians.values():
        function = one(template, "AWS::Lambda::Function")
        # The word `none` is no ARN: Lambda refuses it.
        assert function["CodeSigningConfigArn"] == {"Ref": "SsmCustodianCodeSigningArn"}
        assert "CodeSigned" not in template["Conditions"]


@pytest.mark.parametrize("said, free", [("yes", True), ("true", False)])
def test_only_the_context_unsigned_custodians_yes_lets_a_stage_do_without_code_signing(
    tmp_path: Path, said: str, free: bool
) -> None:
    from aws_cdk import App

    from infra.app import build

    app = App(outdir=str(tmp_path), context={"unsigned-custodians": said})
    build(app, "prod", check=False).synth()
    template = json.loads(template_path(tmp_path, "custodian-1").read_text())
    wanted: object = {"Ref": "SsmCustodianCodeSigningArn"}
    if free:
        wanted = {"Fn::If": ["CodeSigned", wanted, {"Ref": "AWS::NoValue"}]}
        assert template["Conditions"]["CodeSigned"] == unless_none("SsmCustodianCodeSigningArn")
    assert one(template, "AWS::Lambda::Function")["CodeSigningConfigArn"] == wanted


def test_who_may_call_is_decided_by_a_parameter(custodians: Mapping[int, Template]) -> None:
    for template in custodians.values():
        assert template["Conditions"]["Invoked"] == unless_none("SsmCustodianInvokerArn")
        [(_, permission)] = of_type(template, "AWS::Lambda::Permission")
        assert permission["Condition"] == "Invoked"
        assert permission["Properties"]["Principal"] == {"Ref": "SsmCustodianInvokerArn"}


def test_unsigned_code_is_refused_not_only_told(signing: Template) -> None:
    config = one(signing, "AWS::Lambda::CodeSigningConfig")
    assert config["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Enforce"}
    [publisher] = config["AllowedPublishers"]["SigningProfileVersionArns"]
    assert publisher == {"Fn::GetAtt": ["Profile", "ProfileVersionArn"]}
    assert one(signing, "AWS::Signer::SigningProfile")["PlatformId"] == "AWSLambda-SHA384-ECDSA"
    told = one(signing, "AWS::SSM::Parameter")
    assert told["Name"] == "/orion/prod/custodian/code-signing-arn"


def test_a_hot_and_a_warm_wallet_never_share_a_set_and_each_has_a_spare() -> None:
    used = {"hot": set(), "warm": set()}  # type: dict[str, set[int]]
    for each in custody().groups:
        used["hot"].add(each.hot)
        used["warm"].add(each.warm)
    assert not used["hot"] & used["warm"]
    for purpose, numbers in used.items():
        assert {each.number for each in SETS if each.purpose == purpose} - numbers


VELOCITY = '[velocity.hot]\n"BTC.bitcoin" = "1"\n[velocity.warm]\n'
SET = '[[set]]\nnumber = {}\npurpose = "{}"\n'
GROUPS = "[[groups]]\nfirst = {}\nlast = {}\nhot = {}\nwarm = {}\n"
TWO = SET.format(1, "hot") + SET.format(2, "warm")


@pytest.mark.parametrize(
    "text, reason",
    [
        (TWO + GROUPS.format(0, 9, 1, 1) + VELOCITY, "no warm set 1"),
        (TWO + GROUPS.format(0, 9, 2, 2) + VELOCITY, "no hot set 2"),
        (TWO + GROUPS.format(0, 9, 1, 2) + GROUPS.format(9, 10, 1, 2) + VELOCITY, "two ranges"),
        (TWO + GROUPS.format(9, 0, 1, 2) + VELOCITY, "no range"),
        (TWO + VELOCITY, "it has"),
        (SET.format(0, "hot") + GROUPS.format(0, 1, 0, 0) + VELOCITY, "numbered"),
        (SET.format(2, "hot") + GROUPS.format(0, 1, 2, 2) + VELOCITY, "numbered"),
        (SET.format(1, "cold") + GROUPS.format(0, 1, 1, 1) + VELOCITY, "hot or warm"),
        (TWO + GROUPS.format(0, 9, 1, 2) + VELOCITY.replace('"1"', "1"), "decimal text"),
        (TWO + GROUPS.format(0, 9, 1, 2) + VELOCITY.replace('"1"', '"1.5"'), "decimal text"),
        ("]", "not TOML"),
    ],
)
def test_a_custody_file_that_contradicts_itself_is_refused(text: str, reason: str) -> None:
    with pytest.raises(CustodyMalformed, match=reason):
        read_custody(text)
