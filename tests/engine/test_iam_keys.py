"""Who may use which key, shown by calls under every deployed role while policies are enforced."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra.cloud.custody import CURVES, CUSTODIANS, ISSUERS, custody
from tests.engine.iam_scene import ANYTHING, STAGE, Deployed, allowed, deploy_enforced, signing

pytestmark = pytest.mark.engine
SETS = [each.number for each in custody().sets]
DEPLOYER = "cdk-hnb659fds-cfn-exec-role-000000000000-eu-west-1"
ADMINISTRATOR = "administrator"
CHAINS = ("bitcoin", "ethereum", "tron", "solana")
DECRYPTING = {
    "wallet-seeds": {"kms-create-group", "kms-address-pool"},
    "webhook-secrets": {"billing-webhook-sender", "billing-webhook-sender-slow"},
    "sweep-bitcoin": {"kms-sweep-bitcoin"},
    "sweep-ethereum": {"kms-sweep-ethereum"},
    "sweep-tron": {"kms-sweep-tron", "kms-tron-handover"},
    "sweep-solana": {"kms-sweep-solana"},
}
ENCRYPTING = {
    "wallet-seeds": {"kms-create-group"},
    "webhook-secrets": {"billing-api-standard", "billing-api-vip"},
    **{f"sweep-{chain}": {"kms-create-group"} for chain in CHAINS},
}
SIGNING = {
    "executor-ethereum": ("secp256k1", {"kms-executor-ethereum"}),
    "fee-payer-solana": ("ed25519", {"kms-fee-payer-solana"}),
    # Their modules are still to come.
    "policy-decisions": ("p256", set[str]()),
    "approval-tokens": ("p256", set[str]()),
    "step-up": ("p256", set[str]()),
    "chain-finality": ("p256", set[str]()),
    "custody-enrolment": ("p256", {"custody-operator"}),
}


@pytest.fixture(scope="module")
def deployed(stack_folders: Path) -> Iterator[Deployed]:
    """All stacks, enforced, and the two roles that may do everything in such an account."""
    found = deploy_enforced(stack_folders / "iam")
    found.make_role(ADMINISTRATOR, ANYTHING)
    # What CDK's bootstrap gives it as AWS's own policy AdministratorAccess.
    found.give(DEPLOYER, ANYTHING)
    yield found
    found.stack.down()


def everybody(deployed: Deployed) -> tuple[str, ...]:
    """Every role of the stage but the operator, whom only a second factor makes, with the roles
    that deploy and administer.
    """
    operator = STAGE.stack("custody-operator")
    return (*(role for role in deployed.roles if role != operator), DEPLOYER, ADMINISTRATOR)


def named(deployed: Deployed, can: Callable[[str], bool]) -> set[str]:
    """Those of everybody who can, without the stage's prefix."""
    return {role.removeprefix("orion-iam-") for role in everybody(deployed) if can(role)}


@pytest.mark.parametrize("purpose", DECRYPTING)
def test_only_its_functions_decrypt_and_encrypt_under_a_key(
    deployed: Deployed, purpose: str
) -> None:
    assert len(everybody(deployed)) > 40
    key = deployed.key_arn(STAGE.key_alias(purpose))
    ciphertext = deployed.client("kms").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    def decrypts(role: str) -> bool:
        return allowed(
            partial(deployed.client("kms", role).decrypt, CiphertextBlob=ciphertext, KeyId=key)
        )

    def encrypts(role: str) -> bool:
        kms = deployed.client("kms", role)
        made = allowed(partial(kms.generate_data_key, KeyId=key, KeySpec="AES_256"))
        assert made == allowed(partial(kms.encrypt, KeyId=key, Plaintext=b"x"))
        return made

    assert named(deployed, decrypts) == DECRYPTING[purpose]
    assert named(deployed, encrypts) == ENCRYPTING[purpose]


@pytest.mark.parametrize("purpose", SIGNING)
def test_only_its_function_signs_with_a_key(deployed: Deployed, purpose: str) -> None:
    curve, users = SIGNING[purpose]
    key = deployed.key_arn(STAGE.key_alias(purpose))
    signed = named(deployed, lambda role: allowed(signing(deployed, role, key, curve)))
    assert signed == users - {"custody-operator"}


@pytest.mark.parametrize(
    "issuer, likely_name",
    [
        ("policy-decisions", "moneyout-policy"),
        ("approval-tokens", "moneyout-approvals"),
        ("step-up", "user-step-up"),
        ("chain-finality", "moneyin-finality"),
    ],
)
def test_no_role_that_somebody_makes_signs_as_an_issuer_whatever_its_name(
    deployed: Deployed, issuer: str, likely_name: str
) -> None:
    key = deployed.key_arn(STAGE.key_alias(issuer))
    made = deployed.make_role(STAGE.stack(likely_name), ANYTHING)
    assert not allowed(signing(deployed, made, key, "p256"))
    # The same role signs where a key's policy delegates to the account.
    own = deployed.client("kms", made).create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    assert allowed(signing(deployed, made, own["KeyMetadata"]["Arn"], "p256"))


def test_the_operator_signs_enrolments_and_as_no_other_issuer(deployed: Deployed) -> None:
    trusted = deployed.trust(STAGE.stack("custody-operator"))
    signed = {
        issuer: allowed(
            signing(deployed, trusted, deployed.key_arn(STAGE.key_alias(issuer)), "p256")
        )
        for issuer in ISSUERS
    }
    assert signed == {issuer: issuer == "custody-enrolment" for issuer in ISSUERS}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("set_no", SETS)
def test_each_custodian_signs_with_its_own_keys_and_with_no_other_custodians(
    deployed: Deployed, curve: str, set_no: int
) -> None:
    matrix = {}
    for owner in CUSTODIANS:
        key = deployed.key_arn(STAGE.custodian_key_alias(owner, set_no, curve))
        for caller in CUSTODIANS:
            role = STAGE.stack(f"custodian-{caller}")
            matrix[caller, owner] = allowed(signing(deployed, role, key, curve))
    assert matrix == {(a, b): a == b for a in CUSTODIANS for b in CUSTODIANS}


@pytest.mark.parametrize("curve", CURVES)
def test_nobody_but_the_custodian_signs_with_its_key(deployed: Deployed, curve: str) -> None:
    key = deployed.key_arn(STAGE.custodian_key_alias(3, 1, curve))
    signed = named(deployed, lambda role: allowed(signing(deployed, role, key, curve)))
    assert signed == {"custodian-3"}


def test_an_administrator_with_every_permission_can_do_nothing_with_a_custodians_key(
    deployed: Deployed,
) -> None:
    key = deployed.key_arn(STAGE.custodian_key_alias(1, 1, "secp256k1"))
    kms = deployed.client("kms", ADMINISTRATOR)
    for name, call in powers(kms, key).items():
        assert not allowed(call), name
    assert not allowed(partial(kms.describe_key, KeyId=key))
    # The same calls work where a policy delegates to the account: it is the key's that refuses.
    own = kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    for name, call in powers(kms, own).items():
        assert allowed(call), name


def test_who_deploys_looks_at_a_custodians_key_and_neither_signs_nor_changes_who_may(
    deployed: Deployed,
) -> None:
    key = deployed.key_arn(STAGE.custodian_key_alias(1, 1, "secp256k1"))
    kms = deployed.client("kms", DEPLOYER)
    assert allowed(partial(kms.describe_key, KeyId=key))
    assert allowed(partial(kms.get_key_policy, KeyId=key))
    for name, call in powers(kms, key).items():
        assert not allowed(call), name


def powers(kms: Any, key: str) -> Mapping[str, Callable[[], object]]:
    """Signing, and every way to let oneself sign or to end the key."""
    document = '{"Version": "2012-10-17", "Statement": []}'
    return {
        "sign": partial(
            kms.sign,
            KeyId=key,
            Message=bytes(32),
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        ),
        "grant": partial(
            kms.create_grant,
            KeyId=key,
            GranteePrincipal="arn:aws:iam::000000000000:role/administrator",
            Operations=["Sign"],
        ),
        "disable": partial(kms.disable_key, KeyId=key),
        "delete": partial(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=7),
        "policy": partial(kms.put_key_policy, KeyId=key, PolicyName="default", Policy=document),
    }


def test_an_administrator_cannot_open_the_seeds_key_by_its_policy_and_a_deployment_can_change_it(
    deployed: Deployed,
) -> None:
    key = deployed.key_arn(STAGE.key_alias("wallet-seeds"))
    root = deployed.client("kms")
    document = root.get_key_policy(KeyId=key)["Policy"]
    change = {"KeyId": key, "PolicyName": "default", "Policy": document}
    administrator = deployed.client("kms", ADMINISTRATOR)
    assert allowed(partial(administrator.describe_key, KeyId=key))
    assert not allowed(partial(administrator.put_key_policy, **change))
    assert not allowed(partial(administrator.generate_data_key, KeyId=key, KeySpec="AES_256"))
    assert allowed(partial(deployed.client("kms", DEPLOYER).put_key_policy, **change))


@pytest.mark.parametrize("purpose", ["wallet-seeds", "executor-ethereum", "chain-finality"])
def test_an_administrator_puts_no_other_key_under_a_keys_name(
    deployed: Deployed, purpose: str
) -> None:
    alias = STAGE.key_alias(purpose)
    key = deployed.key_arn(alias)
    kms = deployed.client("kms", ADMINISTRATOR)
    own = kms.create_key()["KeyMetadata"]["Arn"]
    assert not allowed(partial(kms.update_alias, AliasName=alias, TargetKeyId=own))
    assert not allowed(partial(kms.delete_alias, AliasName=alias))
    second = f"alias/second-{purpose}"
    assert not allowed(partial(kms.create_alias, AliasName=second, TargetKeyId=key))
    assert deployed.key_arn(alias) == key
    # The same calls work on a key whose policy delegates to the account, and for a deployment.
    for caller, target in ((kms, own), (deployed.client("kms", DEPLOYER), key)):
        assert allowed(partial(caller.create_alias, AliasName=second, TargetKeyId=target))
        assert allowed(partial(caller.update_alias, AliasName=second, TargetKeyId=target))
        assert allowed(partial(caller.delete_alias, AliasName=second))


def test_a_custodians_function_works_under_its_own_role_and_what_the_policies_give_it(
    deployed: Deployed,
) -> None:
    request = {"v": 1, "trace_id": "0" * 32, "operation": "public_keys", "set": 1}
    for number in CUSTODIANS:
        answer = deployed.client("lambda").invoke(
            FunctionName=STAGE.stack(f"custodian-{number}"), Payload=json.dumps(request)
        )
        told = json.loads(answer["Payload"].read())
        assert (told["outcome"], told["custodian"]) == ("keys", number)
        key = STAGE.custodian_key_alias(number, 1, "ed25519")
        known = deployed.client("kms").get_public_key(KeyId=key)["PublicKey"]
        assert told["ed25519"] == known[-32:].hex()


def test_a_custodians_store_is_its_own(deployed: Deployed) -> None:
    item = {"pk": {"S": "iam-test"}, "sk": {"S": "iam-test"}}
    for owner in CUSTODIANS:
        table = STAGE.stack(f"custodian-{owner}")
        for caller in CUSTODIANS:
            store = deployed.client("dynamodb", STAGE.stack(f"custodian-{caller}"))
            put = {"TableName": table, "Item": item}
            own = caller == owner
            assert allowed(partial(store.put_item, **put)) == own
            together = partial(store.transact_write_items, TransactItems=[{"Put": put}])
            assert allowed(together) == own
            assert not allowed(partial(store.delete_item, TableName=table, Key=item))
