"""Who may use the stage's keys: the key policies, read as KMS reads them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.cloud.function_table import FUNCTIONS
from infra.cloud.names import Stage, logical

STAGE = Stage("prod")
USE = {
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKey*",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:CreateGrant",
    "kms:*",
}


def key(keys: Mapping[str, Any], purpose: str) -> Mapping[str, Any]:
    for resource in keys["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::KMS::Key" and properties["Description"].endswith(purpose):
            return dict(properties)
    raise AssertionError(f"no key {purpose}")


def policy(keys: Mapping[str, Any], purpose: str) -> list[dict[str, Any]]:
    return list(key(keys, purpose)["KeyPolicy"]["Statement"])


def users(keys: Mapping[str, Any], purpose: str, action: str) -> set[str]:
    """Names of the roles that a key's policy lets do `action`."""
    found: set[str] = set()
    for statement in policy(keys, purpose):
        if action in statement["Action"]:
            for arn in statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]:
                found.add(arn["Fn::Join"][1][-1].removeprefix(":role/"))
    return found


def roles(*names: str) -> set[str]:
    found = set()
    for name in names:
        module, _, file = name.partition("/")
        [lanes] = {row.lanes or (None,) for row in FUNCTIONS if row.name == name} or {(None,)}
        found |= {STAGE.function(module, file, lane) for lane in lanes}
    return found


ENVELOPES = {
    "wallet-seeds": ({"kms/create_group"}, {"kms/create_group", "kms/address_pool"}),
    "webhook-secrets": ({"billing/api"}, {"billing/webhook_sender"}),
    "sweep-bitcoin": ({"kms/create_group"}, {"kms/sweep_bitcoin"}),
    "sweep-ethereum": ({"kms/create_group"}, {"kms/sweep_ethereum"}),
    "sweep-tron": ({"kms/create_group"}, {"kms/sweep_tron", "kms/tron_handover"}),
    "sweep-solana": ({"kms/create_group"}, {"kms/sweep_solana"}),
}
# Purpose: key spec, and the names of the roles that sign.
SIGNERS = {
    "executor-ethereum": ("ECC_SECG_P256K1", {"orion-prod-kms-executor-ethereum"}),
    "fee-payer-solana": ("ECC_NIST_EDWARDS25519", {"orion-prod-kms-fee-payer-solana"}),
    "policy-decisions": ("ECC_NIST_P256", {"orion-prod-moneyout-policy"}),
    "approval-tokens": (
        "ECC_NIST_P256",
        {"orion-prod-moneyout-approvals", "orion-prod-custody-operator"},
    ),
    "step-up": ("ECC_NIST_P256", {"orion-prod-user-step-up"}),
    "chain-finality": ("ECC_NIST_P256", {"orion-prod-moneyin-finality"}),
}
DEPLOYER = "cdk-hnb659fds-cfn-exec-role-"


@pytest.mark.parametrize("purpose", ENVELOPES)
def test_an_envelope_key_is_used_by_the_functions_named_here_and_no_other(
    keys: Mapping[str, Any], purpose: str
) -> None:
    encrypting, decrypting = ENVELOPES[purpose]
    assert users(keys, purpose, "kms:GenerateDataKey") == roles(*encrypting)
    assert users(keys, purpose, "kms:Encrypt") == roles(*encrypting)
    assert users(keys, purpose, "kms:Decrypt") == roles(*decrypting)


@pytest.mark.parametrize("purpose", SIGNERS)
def test_a_signing_key_signs_for_the_roles_named_here_and_no_other(
    keys: Mapping[str, Any], purpose: str
) -> None:
    spec, names = SIGNERS[purpose]
    assert users(keys, purpose, "kms:Sign") == names
    made = key(keys, purpose)
    assert (made["KeySpec"], made["KeyUsage"]) == (spec, "SIGN_VERIFY")
    assert "BypassPolicyLockoutSafetyCheck" not in made


@pytest.mark.parametrize("purpose", [*ENVELOPES, *SIGNERS, "service-secrets"])
def test_who_administers_a_key_can_neither_use_it_nor_hand_its_use_on_nor_change_its_policy(
    keys: Mapping[str, Any], purpose: str
) -> None:
    for statement in policy(keys, purpose):
        if "Condition" not in statement:
            assert USE.isdisjoint(statement["Action"])
            assert "kms:PutKeyPolicy" not in statement["Action"]
            assert not any("*" in action for action in statement["Action"])


@pytest.mark.parametrize("purpose", [*ENVELOPES, *SIGNERS, "service-secrets"])
def test_only_a_deployment_changes_a_keys_policy(keys: Mapping[str, Any], purpose: str) -> None:
    changing = [row for row in policy(keys, purpose) if "kms:PutKeyPolicy" in row["Action"]]
    assert len(changing) == 1
    assert changing[0]["Action"] == ["kms:PutKeyPolicy"]
    [arn] = changing[0]["Condition"]["ArnEquals"]["aws:PrincipalArn"]
    assert arn["Fn::Join"][1][4] == f":role/{DEPLOYER}"


def test_no_signing_key_lets_anybody_create_a_grant(keys: Mapping[str, Any]) -> None:
    for purpose in SIGNERS:
        assert "CreateGrant" not in json.dumps(policy(keys, purpose))


def test_the_key_of_service_secrets_works_only_through_secrets_manager(
    keys: Mapping[str, Any],
) -> None:
    for statement in policy(keys, "service-secrets"):
        if not USE.isdisjoint(statement["Action"]):
            assert "kms:ViaService" in json.dumps(statement["Condition"])


def test_keys_rotate_where_kms_can_stay_when_the_stack_goes_and_have_their_alias(
    keys: Mapping[str, Any],
) -> None:
    made = [r for r in keys["Resources"].values() if r["Type"] == "AWS::KMS::Key"]
    aliases = {
        r["Properties"]["AliasName"]
        for r in keys["Resources"].values()
        if r["Type"] == "AWS::KMS::Alias"
    }
    for each in made:
        symmetric = "KeySpec" not in each["Properties"]
        assert each["Properties"].get("EnableKeyRotation", False) == symmetric
        assert each["DeletionPolicy"] == "RetainExceptOnCreate"
    expected = (*ENVELOPES, *SIGNERS, "service-secrets")
    assert aliases == {STAGE.key_alias(purpose) for purpose in expected}


def test_the_operator_needs_a_second_factor_and_may_enrol_and_nothing_else(
    keys: Mapping[str, Any],
) -> None:
    [role] = [r for r in keys["Resources"].values() if r["Type"] == "AWS::IAM::Role"]
    [trusted] = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    [document] = [each["PolicyDocument"] for each in role["Properties"]["Policies"]]
    signing, calling, telling = document["Statement"]
    assert telling["Action"] == ["ssm:PutParameter"]
    [parameter] = telling["Resource"]
    assert parameter["Fn::Join"][1][-1] == ":parameter/orion/prod/deployment/custody-sets"
    assert signing["Resource"] == [{"Fn::GetAtt": ["ApprovalTokens", "Arn"]}]
    assert set(signing["Action"]) == {"kms:Sign", "kms:GetPublicKey", "kms:DescribeKey"}
    called = {arn["Fn::Join"][1][-1].removeprefix(":function:") for arn in calling["Resource"]}
    assert called == {
        *(f"orion-prod-custodian-{number}" for number in range(1, 6)),
        "orion-prod-kms-custody-sets",
    }


@pytest.mark.parametrize("purpose", [*ENVELOPES, *SIGNERS])
def test_no_role_is_granted_a_key_beyond_the_policy(
    serverless: Mapping[str, Any], keys: Mapping[str, Any], purpose: str
) -> None:
    parameter = f'"Ssm{logical("keys", purpose, "arn")}"'
    holders = {
        resource["Properties"]["RoleName"]
        for resource in serverless["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role" and parameter in json.dumps(resource)
    }
    actions = ("kms:Encrypt", "kms:Decrypt", "kms:Sign")
    named = set().union(*(users(keys, purpose, action) for action in actions))
    assert holders <= named
