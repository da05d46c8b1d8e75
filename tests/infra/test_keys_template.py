"""Who may use the stage's keys: the key policies, read as KMS reads them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.cloud.function_table import FUNCTIONS
from infra.cloud.names import Stage

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


def policy(keys: Mapping[str, Any], purpose: str) -> list[dict[str, Any]]:
    for resource in keys["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::KMS::Key" and properties["Description"].endswith(purpose):
            return list(properties["KeyPolicy"]["Statement"])
    raise AssertionError(f"no key {purpose}")


def users(keys: Mapping[str, Any], purpose: str, action: str) -> set[str]:
    """Names of the roles that a key's policy lets do `action`."""
    found: set[str] = set()
    for statement in policy(keys, purpose):
        if action in statement["Action"]:
            for arn in statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]:
                found.add(arn["Fn::Join"][1][-1].removeprefix(":role/"))
    return found


def roles(*names: str) -> set[str]:
    return {
        STAGE.function(row.module, row.file, lane)
        for row in FUNCTIONS
        if row.name in names
        for lane in (row.lanes or (None,))
    }


def test_only_the_kms_functions_use_the_wallet_seeds_key(keys: Mapping[str, Any]) -> None:
    assert users(keys, "wallet-seeds", "kms:GenerateDataKey") == roles("kms/create_group")
    decrypting = roles("kms/create_group", "kms/address_pool")
    assert users(keys, "wallet-seeds", "kms:Decrypt") == decrypting


def test_the_billing_api_encrypts_webhook_secrets_and_only_the_sender_decrypts_them(
    keys: Mapping[str, Any],
) -> None:
    assert users(keys, "webhook-secrets", "kms:Encrypt") == roles("billing/api")
    assert users(keys, "webhook-secrets", "kms:Decrypt") == roles("billing/webhook_sender")


@pytest.mark.parametrize("purpose", ["wallet-seeds", "webhook-secrets"])
def test_who_administers_a_key_can_neither_use_it_nor_hand_its_use_on(
    keys: Mapping[str, Any], purpose: str
) -> None:
    for statement in policy(keys, purpose):
        if "Condition" not in statement:
            assert USE.isdisjoint(statement["Action"])
            assert not any("*" in action for action in statement["Action"])


def test_the_key_of_service_secrets_works_only_through_secrets_manager(
    keys: Mapping[str, Any],
) -> None:
    for statement in policy(keys, "service-secrets"):
        if not USE.isdisjoint(statement["Action"]):
            assert "kms:ViaService" in json.dumps(statement["Condition"])


def test_keys_rotate_stay_when_the_stack_goes_and_have_their_alias(
    keys: Mapping[str, Any],
) -> None:
    made = [r for r in keys["Resources"].values() if r["Type"] == "AWS::KMS::Key"]
    aliases = {
        r["Properties"]["AliasName"]
        for r in keys["Resources"].values()
        if r["Type"] == "AWS::KMS::Alias"
    }
    assert all(key["Properties"]["EnableKeyRotation"] for key in made)
    assert all(key["DeletionPolicy"] == "RetainExceptOnCreate" for key in made)
    expected = ("wallet-seeds", "webhook-secrets", "service-secrets")
    assert aliases == {STAGE.key_alias(purpose) for purpose in expected}


def test_no_role_outside_the_policy_is_granted_a_key(
    serverless: Mapping[str, Any],
) -> None:
    seeds = "SsmKeysWalletSeedsArn"
    holders = {
        resource["Properties"]["RoleName"]
        for resource in serverless["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role" and seeds in json.dumps(resource)
    }
    assert holders == roles("kms/create_group", "kms/address_pool")
