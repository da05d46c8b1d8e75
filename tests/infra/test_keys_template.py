"""Who may use the stage's keys: the key policies, read as KMS reads them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.cloud.custody import ISSUERS
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
    """Names of the roles that a key's policy lets do `action`, by condition or as principal."""
    found: set[str] = set()
    for statement in policy(keys, purpose):
        if action not in statement["Action"]:
            continue
        made = made_here(keys, statement)
        if made:
            found.add(made)
            continue
        for arn in statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]:
            found.add(arn["Fn::Join"][1][-1].removeprefix(":role/"))
    return found


def made_here(keys: Mapping[str, Any], statement: Mapping[str, Any]) -> str | None:
    """The name of the role of this very template that a statement has as its principal."""
    principal = statement["Principal"]["AWS"]
    if "Fn::GetAtt" not in principal:
        return None
    name = keys["Resources"][principal["Fn::GetAtt"][0]]["Properties"]["RoleName"]
    return str(name)


def roles(*names: str) -> set[str]:
    found = set()
    for name in names:
        module, _, file = name.partition("/")
        [lanes] = {row.lanes or (None,) for row in FUNCTIONS if row.name == name} or {(None,)}
        found |= {STAGE.function(module, file, lane) for lane in lanes}
    return found


ENVELOPES = {
    "wallet-seeds": ({"kms/create_group"}, {"kms/create_group", "kms/address_pool"}),
    "webhook-secrets": (
        {"billing/api"},
        {"billing/webhook_sender", "billing/webhook_sender_slow"},
    ),
    "sweep-bitcoin": ({"kms/create_group"}, {"kms/sweep_bitcoin"}),
    "sweep-ethereum": ({"kms/create_group"}, {"kms/sweep_ethereum"}),
    "sweep-tron": ({"kms/create_group"}, {"kms/sweep_tron", "kms/tron_handover"}),
    "sweep-solana": ({"kms/create_group"}, {"kms/sweep_solana"}),
}
# Purpose: key spec, and the names of the roles that sign.
SIGNERS = {
    "executor-ethereum": ("ECC_SECG_P256K1", {"orion-prod-kms-executor-ethereum"}),
    "fee-payer-solana": ("ECC_NIST_EDWARDS25519", {"orion-prod-kms-fee-payer-solana"}),
    "policy-decisions": ("ECC_NIST_P256", set[str]()),
    "approval-tokens": ("ECC_NIST_P256", set[str]()),
    "step-up": ("ECC_NIST_P256", set[str]()),
    "chain-finality": ("ECC_NIST_P256", set[str]()),
    "custody-enrolment": ("ECC_NIST_P256", {"orion-prod-custody-operator"}),
    "ledger-roots": ("ECC_NIST_P256", {"orion-prod-log-ledger-segments"}),
    "node-commands-reconciliation": ("ECC_NIST_P256", {"orion-prod-log-reconcile-balances"}),
}
# Who reads the public half of a signing key without signing with it.
CHECKING = {
    "ledger-roots": {
        "orion-prod-log-prove",
        "orion-prod-log-book-roots",
        *(f"orion-prod-log-reconcile-{step}" for step in ("plan", "compare")),
    },
}
PURPOSES = (*ENVELOPES, *SIGNERS, "service-secrets")
DEPLOYMENT = {"kms:PutKeyPolicy", "kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"}
DEPLOYER = "cdk-hnb659fds-cfn-exec-role-"


def of_account(statement: Mapping[str, Any]) -> bool:
    """Whether a statement's principal is the account, which hands on by policies of its own."""
    principal = statement["Principal"]["AWS"]
    return "Fn::Join" in principal and principal["Fn::Join"][1][-1] == ":root"


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


@pytest.mark.parametrize("purpose", SIGNERS)
def test_the_public_half_of_a_signing_key_is_read_by_who_signs_and_who_checks(
    keys: Mapping[str, Any], purpose: str
) -> None:
    reading = set()
    for statement in policy(keys, purpose):
        if "kms:GetPublicKey" in statement["Action"] and not (
            of_account(statement) and "Condition" not in statement
        ):
            made = made_here(keys, statement)
            arns = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:PrincipalArn", [])
            reading |= {arn["Fn::Join"][1][-1].removeprefix(":role/") for arn in arns}
            reading |= {made} if made else set()
    assert reading == SIGNERS[purpose][1] | CHECKING.get(purpose, set())


def test_an_issuers_key_signs_for_a_role_of_its_own_stack_or_for_nobody(
    keys: Mapping[str, Any],
) -> None:
    # A condition on a name lets through whoever makes a role of that name first.
    for issuer in ISSUERS:
        for statement in policy(keys, issuer):
            assert "Condition" not in statement
            if "kms:Sign" in statement["Action"]:
                assert made_here(keys, statement)


def test_a_condition_names_only_roles_that_the_serverless_stack_makes(
    keys: Mapping[str, Any], serverless: Mapping[str, Any]
) -> None:
    made = {
        resource["Properties"]["RoleName"]
        for resource in serverless["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role" and "RoleName" in resource["Properties"]
    }
    named: set[str] = set()
    for purpose in (*ENVELOPES, *SIGNERS):
        for statement in policy(keys, purpose):
            if "Condition" in statement:
                assert set(statement["Condition"]) == {"ArnEquals"}
                named |= {
                    arn["Fn::Join"][1][-1].removeprefix(":role/")
                    for arn in statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]
                }
    assert named
    assert named <= made


@pytest.mark.parametrize("purpose", PURPOSES)
def test_who_administers_a_key_neither_uses_it_nor_hands_its_use_on_nor_says_who_may_nor_renames_it(
    keys: Mapping[str, Any], purpose: str
) -> None:
    own = [row for row in policy(keys, purpose) if of_account(row) and "Condition" not in row]
    [statement] = own
    assert USE.isdisjoint(statement["Action"])
    assert DEPLOYMENT.isdisjoint(statement["Action"])
    assert not any("*" in action for action in statement["Action"])


@pytest.mark.parametrize("purpose", PURPOSES)
def test_only_a_deployment_says_who_uses_a_key_and_which_key_a_name_means(
    keys: Mapping[str, Any], purpose: str
) -> None:
    rows = [row for row in policy(keys, purpose) if not DEPLOYMENT.isdisjoint(row["Action"])]
    [changing] = rows
    assert set(changing["Action"]) == DEPLOYMENT
    assert "Condition" not in changing
    assert changing["Principal"]["AWS"]["Fn::Join"][1][4] == f":role/{DEPLOYER}"


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
    assert aliases == {STAGE.key_alias(purpose) for purpose in PURPOSES}


def test_the_operator_needs_a_second_factor_and_may_enrol_and_report_and_nothing_else(
    keys: Mapping[str, Any],
) -> None:
    operator = "orion-prod-custody-operator"
    [role] = [r for r in keys["Resources"].values() if r["Type"] == "AWS::IAM::Role"]
    [trusted] = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    [document] = [each["PolicyDocument"] for each in role["Properties"]["Policies"]]
    calling, telling = document["Statement"]
    assert telling["Action"] == ["ssm:PutParameter"]
    [parameter] = telling["Resource"]
    assert parameter["Fn::Join"][1][-1] == ":parameter/orion/prod/deployment/custody-sets"
    # Its key obeys it by the key's own policy, which no policy of the account can copy.
    signed = {purpose for purpose in SIGNERS if users(keys, purpose, "kms:Sign") & {operator}}
    assert signed == {"custody-enrolment"}
    called = {arn["Fn::Join"][1][-1].removeprefix(":function:") for arn in calling["Resource"]}
    assert called == {
        *(f"orion-prod-custodian-{number}" for number in range(1, 6)),
        "orion-prod-kms-custody-sets",
        "orion-prod-kms-custody-on-chain",
        "orion-prod-kms-custody-rotated",
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
    assert holders <= named | CHECKING.get(purpose, set())
    for name in CHECKING.get(purpose, set()):
        [role] = [
            resource["Properties"]
            for resource in serverless["Resources"].values()
            if resource["Type"] == "AWS::IAM::Role"
            and resource["Properties"].get("RoleName") == name
        ]
        [document] = [each["PolicyDocument"] for each in role["Policies"]]
        rows = [row for row in document["Statement"] if parameter in json.dumps(row)]
        assert [row["Action"] for row in rows] == [["kms:GetPublicKey"]]
