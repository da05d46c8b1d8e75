"""The operator's command: five custodians learn a set once, on the word of two people."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from eth_keys.datatypes import PublicKey as EthereumKey
from solders.pubkey import Pubkey

from infra.cloud.custody import (
    CURVES,
    CUSTODIANS,
    ISSUERS,
    CustodySet,
    custodian_room,
    custody,
)
from infra.cloud.names import Stage
from infra.cloud.synth import synthesize
from infra.local import Stack
from infra.local.custody import Enrolment, main, registration, set_digest
from infra.local.custody_settings import (
    check_code_signing,
    floats,
    settings_document,
    write_settings,
)
from infra.local.deploy import Cdk
from infra.local.deploy_aws import Account, DeployFailed
from orion.adapters.mysql.kms_signing import MySqlSetStore
from orion.kms.custody.errors import EvidenceRefused
from orion.kms.custody.settings import read_settings
from orion.kms.signing.model import sets_request
from orion.kms.signing.sets import CustodyRegister
from tests.engine.kms_scene import connected
from tests.engine.kms_signing_scene import emptied

pytestmark = pytest.mark.engine
STAGE = Stage("enrol")
HOT, WARM, SPARE = custody().sets[:3]


@pytest.fixture(scope="module")
def account(engines: Stack, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """Keys and custodians of a stage of its own; nothing is enrolled."""
    engines.start("ministack")
    aws, folder = engines.ministack, tmp_path_factory.mktemp("enrol")
    found = Account(aws.url, aws.region, aws.environment())
    for name, value in (("networks", {"bitcoin": "regtest"}), ("contracts", {})):
        found.put_parameter(STAGE.parameter(f"chains/{name}"), json.dumps(value))
    assembly = synthesize(STAGE.name, folder / "cdk.out", unsigned_custodians=True)
    cdk = Cdk(aws.url, aws.region, aws.environment(), assembly, folder, lambda _: None)
    cdk.run("bootstrap", ["bootstrap", f"aws://{aws.account_id}/{aws.region}"])
    cdk.deploy(["keys"])
    check_code_signing(found, STAGE, unsigned=True)
    write_settings(found, STAGE, custody(), settings_document(found, STAGE, custody()))
    cdk.deploy([custodian_room(number) for number in CUSTODIANS])
    return found


def enrolment(account: Account, approvers: Sequence[str] = ("ada", "ben")) -> Enrolment:
    return Enrolment(account, STAGE, approvers, lambda _: None)


def test_a_set_needs_two_different_people(account: Account) -> None:
    with pytest.raises(DeployFailed, match="malformed_request: 1 to 48 entries"):
        enrolment(account, ()).enrol(HOT)
    for approvers in (("ada",), ("ada", "ada")):
        with pytest.raises(DeployFailed, match="refused evidence_refused"):
            enrolment(account, approvers).enrol(HOT)


def test_an_approval_of_one_set_enrols_no_other(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = enrolment(account).described(WARM)
    monkeypatch.setattr("infra.local.custody.set_digest", lambda _: set_digest(other))
    with pytest.raises(DeployFailed, match="evidence_refused"):
        enrolment(account).enrol(HOT)


def test_every_custodian_keeps_the_set_and_a_repeat_is_the_same(account: Account) -> None:
    first = dict(enrolment(account).enrol(HOT))
    again = dict(enrolment(account, ("cem", "dee")).enrol(HOT))
    assert first.pop("evidence") != again.pop("evidence")
    assert again == first
    for curve in CURVES:
        keys = first[curve]
        assert isinstance(keys, list)
        assert len(set(keys)) == len(CUSTODIANS)


def test_kms_registers_what_the_custodians_enrolled_on_the_same_two_approvals(
    account: Account, mysql_admin: Any
) -> None:
    settings = read_settings(settings_document(account, STAGE, custody()))
    approved = [enrolment(account).enrol(each) for each in (HOT, WARM)]
    emptied(mysql_admin)
    database = connected(mysql_admin)
    store = MySqlSetStore(database, {"bitcoin": "regtest"})
    register = CustodyRegister(store, lambda: settings.evidence_keys, lambda: datetime.now(UTC))
    bare = [{**each, "evidence": approved[0]["evidence"]} for each in approved]
    with pytest.raises(EvidenceRefused, match="another"):
        register.register(sets_request(registration(bare)))
    registered = register.register(sets_request(registration(approved)))
    database.close()
    assert registered.new == (HOT.number, WARM.number)


def test_a_set_never_gets_another_purpose(account: Account) -> None:
    enrolment(account).enrol(HOT)
    with pytest.raises(DeployFailed, match="custody_set_refused"):
        enrolment(account).enrol(CustodySet(HOT.number, "warm"))


def test_the_command_prints_what_people_compare_and_refuses_a_single_person(
    account: Account,
    engines: Stack,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in engines.ministack.environment().items():
        monkeypatch.setenv(name, value)
    place = ["--stage", STAGE.name, "--endpoint-url", engines.ministack.url]
    assert main(["keys", *place]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["set"] for row in told] == [each.number for each in custody().sets]
    for row in told:
        digest = row.pop("digest")
        assert digest == set_digest(row)
    assert main(["settings", *place]) == 0
    settings = json.loads(capsys.readouterr().out)
    assert set(settings) == {"evidence_keys", "networks", "contracts", "velocity", "floats"}
    assert set(settings["evidence_keys"]) == set(ISSUERS)
    assert main(["enrol", *place, "--approver", "ada"]) == 1
    assert "two different people" in capsys.readouterr().err
    assert main(["keys", *place, "--custodian", "6=arn:aws:x"]) == 1


def test_an_approval_of_payouts_enrols_no_set(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.custody.ENROLMENT", "approval-tokens")
    with pytest.raises(DeployFailed, match="evidence_refused"):
        enrolment(account).enrol(SPARE)


def test_floats_are_the_addresses_of_the_stages_own_keys(account: Account) -> None:
    ethereum, solana = (address for _, address in floats(account, STAGE))
    point = load_der_public_key(account.public_key(STAGE.key_alias("executor-ethereum")))
    assert isinstance(point, EllipticCurvePublicKey)
    told = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    judge = EthereumKey(told[1:])
    assert ethereum == judge.to_address()
    payer = load_der_public_key(account.public_key(STAGE.key_alias("fee-payer-solana")))
    assert isinstance(payer, Ed25519PublicKey)
    assert solana == str(Pubkey(payer.public_bytes_raw()))
    # A float stands in the settings only where its chain is served.
    settings = json.loads(settings_document(account, STAGE, custody()))
    assert settings["floats"] == {}
    name = STAGE.parameter("chains/networks")
    served = {"ethereum": "31337", "solana": "localnet"}
    account.put_parameter(name, json.dumps(served))
    settings = json.loads(settings_document(account, STAGE, custody()))
    account.put_parameter(name, json.dumps({"bitcoin": "regtest"}))
    assert settings["floats"] == {"ethereum": ethereum, "solana": solana}


def test_a_stage_goes_without_code_signing_only_where_the_deployment_says_so(
    account: Account,
) -> None:
    bare = Stage("bare")
    with pytest.raises(DeployFailed, match="deploy custodian-signing first"):
        check_code_signing(account, bare, unsigned=False)
    check_code_signing(account, bare, unsigned=True)
    # That `none` was written once is no leave for the next deployment.
    with pytest.raises(DeployFailed, match="--unsigned-custodians"):
        check_code_signing(account, bare, unsigned=False)
    account.put_parameter(bare.parameter("custodian/code-signing-arn"), "arn:aws:lambda:x")
    check_code_signing(account, bare, unsigned=False)


def test_settings_that_change_later_reach_no_custodian_before_its_next_deployment(
    account: Account, engines: Stack
) -> None:
    aws = engines.ministack
    functions = boto3.client(
        "lambda",
        endpoint_url=aws.url,
        region_name=aws.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    name = STAGE.stack("custodian-1")
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    account.put_parameter(STAGE.parameter("custodian/settings"), "{}")
    assert functions.get_function_configuration(FunctionName=name)["Environment"] == {
        "Variables": before
    }
    assert json.loads(before["ORION_CUSTODIAN_SETTINGS"])["velocity"]
