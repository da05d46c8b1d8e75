"""A deployment to a real engine: what answers, what is enforced, what a repeat does."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.cloud.function_table import FUNCTIONS, function_row
from infra.cloud.names import Stage
from infra.local import Stack
from infra.local.deploy import DEPLOYED_DIGEST, Outputs, deploy
from infra.local.deploy_aws import Account, DeployFailed
from infra.local.deploy_pauses import PAUSES, PAUSES_OVER, pause
from infra.local.seed import parameters, secrets
from tests.engine.kms_signing_scene import emptied

STAGE = Stage("rollout")


@dataclass
class Rollout:
    """One deployed stage. `session` is boto3's, `told` what the deployment reported."""

    stack: Stack
    var: Path
    session: boto3.Session
    told: list[str] = field(default_factory=list)
    # The same of its first deployment.
    first: list[str] = field(default_factory=list)

    def deploy(self, stage: str = STAGE.name) -> Outputs:
        aws = self.stack.ministack
        return deploy(
            aws.url,
            stage,
            self.var,
            region=aws.region,
            account_id=aws.account_id,
            environment=aws.environment(),
            approvers=("one", "two"),
            unsigned_custodians=True,
            report=self.told.append,
        )


def fall_asleep(session: boto3.Session, url: str) -> None:
    """Nothing of the stage starts by itself any more: its relays would send, and its watches mend,
    what later tests lay down in the same database.
    """
    scheduler = session.client("scheduler", endpoint_url=url)
    schedules = [
        found
        for page in scheduler.get_paginator("list_schedules").paginate()
        for found in page["Schedules"]
        if STAGE.name in found["Name"]
    ]
    assert schedules
    for found in schedules:
        scheduler.delete_schedule(Name=found["Name"], GroupName=found["GroupName"])
    functions = session.client("lambda", endpoint_url=url)
    for page in functions.get_paginator("list_event_source_mappings").paginate():
        for mapping in page["EventSourceMappings"]:
            if f":orion-{STAGE.name}-" in mapping["FunctionArn"]:
                functions.delete_event_source_mapping(UUID=mapping["UUID"])


@pytest.fixture(scope="module")
def rollout(
    engines: Stack, mysql_admin: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rollout]:
    """A stage of its own on the session's engines, deployed once. Sets of other tests would have
    its numbers.
    """
    emptied(mysql_admin)
    engines.up(
        ("kafka", "mariadb", "postgres", "memcached", "ministack", "anvil", "btcd", "ticker")
    )
    aws = engines.ministack
    session = boto3.Session("test", "test", region_name=aws.region)
    ssm = session.client("ssm", endpoint_url=aws.url)
    for path, value in parameters(engines).items():
        ssm.put_parameter(Name=STAGE.parameter(path), Value=value, Type="String", Overwrite=True)
    vault = session.client("secretsmanager", endpoint_url=aws.url)
    for name, login in secrets(engines).items():
        body = json.dumps({"username": login.username, "password": login.password})
        vault.create_secret(
            Name=name.replace("orion/local/", f"orion/{STAGE.name}/").replace(
                "orion_local_", f"orion_{STAGE.name}_"
            ),
            SecretString=body,
        )
    yield Rollout(engines, tmp_path_factory.mktemp("rollout"), session)
    fall_asleep(session, aws.url)


@pytest.fixture(scope="module")
def deployed(rollout: Rollout) -> Outputs:
    outputs = rollout.deploy()
    rollout.first.extend(rollout.told)
    return outputs


def ask(url: str) -> tuple[int, Mapping[str, object]]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


@pytest.mark.parametrize("lane", ["standard", "vip"])
def test_both_lanes_answer_over_http(deployed: Outputs, lane: str) -> None:
    status, _ = ask(f"{deployed.api_urls[lane]}/health")
    assert status == 200


def test_the_gateway_itself_answers_with_problem_documents(deployed: Outputs) -> None:
    url = deployed.api_urls["standard"]
    status, problem = ask(f"{url}/nothing-here")
    assert (status, problem["code"]) == (404, "not_found")
    status, problem = ask(f"{url}/v1/invoices")
    assert (status, problem["code"]) == (401, "unauthorized")


def test_a_wrong_key_is_refused_by_a_function_that_counts_its_address(deployed: Outputs) -> None:
    asked = urllib.request.Request(
        f"{deployed.api_urls['vip']}/v1/balances",
        headers={"Authorization": "Bearer ok_nonsense", "Accept-Language": "ja"},
    )
    with pytest.raises(urllib.error.HTTPError) as refusal, urllib.request.urlopen(asked):
        pass
    assert (refusal.value.code, refusal.value.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert refusal.value.headers["Content-Language"] == "ja"
    assert refusal.value.headers["RateLimit"].startswith('"refused-address";r=')


def test_the_lanes_urls_are_where_the_functions_look_for_them(
    rollout: Rollout, deployed: Outputs
) -> None:
    ssm = rollout.session.client("ssm", endpoint_url=rollout.stack.ministack.url)
    for lane, url in deployed.api_urls.items():
        stored = ssm.get_parameter(Name=STAGE.parameter(f"api/{lane}-url"))
        assert stored["Parameter"]["Value"] == url
        assert not url.endswith("/")


@pytest.mark.parametrize("book, kept_days", [("audit_bucket", 400), ("ledger_book_bucket", 3_653)])
def test_a_segment_of_a_book_in_s3_can_neither_be_changed_nor_removed(
    rollout: Rollout, deployed: Outputs, book: str, kept_days: int
) -> None:
    s3 = rollout.session.client("s3", endpoint_url=rollout.stack.ministack.url)
    bucket = getattr(deployed, book)
    version = s3.put_object(Bucket=bucket, Key="segment", Body=b"once")["VersionId"]
    with pytest.raises(ClientError):
        s3.delete_object(Bucket=bucket, Key="segment", VersionId=version)
    until = s3.get_object_retention(Bucket=bucket, Key="segment")["Retention"]["RetainUntilDate"]
    assert (until - datetime.now(UTC)).days in (kept_days - 1, kept_days)
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules


def test_reserved_concurrency_is_what_the_table_says(rollout: Rollout, deployed: Outputs) -> None:
    client = rollout.session.client("lambda", endpoint_url=rollout.stack.ministack.url)
    for row in FUNCTIONS:
        for lane, reserved in row.reserved.items():
            name = STAGE.function(row.module, row.file, lane)
            found = client.get_function_concurrency(FunctionName=name)
            assert found["ReservedConcurrentExecutions"] == reserved


def test_a_repeated_deployment_uploads_nothing_and_gives_the_same_urls(
    rollout: Rollout, deployed: Outputs
) -> None:
    rollout.told.clear()
    again = rollout.deploy()
    assert again.api_urls == deployed.api_urls
    assert "deploy: nothing changed" in rollout.told


def test_a_deployment_without_its_secrets_names_the_one_that_is_missing(
    rollout: Rollout, deployed: Outputs
) -> None:
    with pytest.raises(DeployFailed, match="AmazonMSK_orion_rollout2_"):
        rollout.deploy("rollout2")


def test_a_deployment_stops_before_it_changes_anything_when_functions_could_not_read_the_quotas(
    rollout: Rollout, deployed: Outputs
) -> None:
    ssm = rollout.session.client("ssm", endpoint_url=rollout.stack.ministack.url)
    name = STAGE.parameter("policy/rate-limits")
    right = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    wrong = {**json.loads(right), "vip": {}}
    rollout.told.clear()
    try:
        ssm.put_parameter(Name=name, Value=json.dumps(wrong), Overwrite=True)
        with pytest.raises(DeployFailed, match=r"at vip\.read: a lane needs this class"):
            rollout.deploy()
        ssm.delete_parameter(Name=name)
        with pytest.raises(DeployFailed, match=r"must exist first: \S*rate-limits"):
            rollout.deploy()
    finally:
        ssm.put_parameter(Name=name, Value=right, Type="String", Overwrite=True)
    assert rollout.told == []


def test_migrations_run_when_the_base_is_there_and_before_other_functions_are(
    rollout: Rollout, deployed: Outputs
) -> None:
    steps = [line for line in rollout.first if " cdk " in line or " migrations " in line]
    kinds = [line.partition(" in ")[0].removeprefix("deploy: ") for line in steps]
    assert kinds[-4] == "cdk deploy base"
    assert kinds[-3].endswith(" migrations")
    assert kinds[-2:] == ["cdk deploy serverless", "cdk deploy api-vip"]


def resting(rollout: Rollout) -> set[str]:
    """Functions all of whose mappings of topics are stopped."""
    client = rollout.session.client("lambda", endpoint_url=rollout.stack.ministack.url)
    found = set()
    for row in (row for row in FUNCTIONS if row.topics):
        name = STAGE.function(row.module, row.file)
        mappings = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        states = {mapping["State"] for mapping in mappings}
        assert len(mappings) == len(row.topics)
        assert len(states) == 1
        if states == {"Disabled"}:
            found.add(row.name)
    return found


def test_mappings_that_a_migration_names_rest_until_a_deployment_has_come_to_its_end(
    rollout: Rollout, deployed: Outputs
) -> None:
    aws = rollout.stack.ministack
    ssm = rollout.session.client("ssm", endpoint_url=aws.url)
    account = Account(aws.url, aws.region, aws.environment())
    over = STAGE.parameter(PAUSES_OVER)
    assert set(json.loads(account.parameters([over])[over])) == set(PAUSES)
    waited: list[float] = []
    pause(account, STAGE, rollout.told.append, waited.append)
    assert (resting(rollout), waited) == (set(), [])

    ssm.delete_parameter(Name=over)
    pause(account, STAGE, rollout.told.append, waited.append)
    named = {name for names in PAUSES.values() for name in names}
    assert resting(rollout) == named
    assert waited == [max(function_row(name).timeout_s for name in named)]

    rollout.deploy()
    assert resting(rollout) == set()
    assert set(json.loads(account.parameters([over])[over])) == set(PAUSES)


def test_a_deployment_whose_migration_fails_changes_no_other_function(
    rollout: Rollout, deployed: Outputs
) -> None:
    ssm = rollout.session.client("ssm", endpoint_url=rollout.stack.ministack.url)
    digest = STAGE.parameter(DEPLOYED_DIGEST)
    ssm.put_parameter(Name=digest, Value="another", Overwrite=True)
    rollout.told.clear()
    vault = rollout.session.client("secretsmanager", endpoint_url=rollout.stack.ministack.url)
    name = STAGE.mysql_secret("arch")
    right = vault.get_secret_value(SecretId=name)["SecretString"]
    client = rollout.session.client("lambda", endpoint_url=rollout.stack.ministack.url)
    function = STAGE.function("arch", "migrate")
    vault.put_secret_value(SecretId=name, SecretString="{}")
    try:
        # A fresh worker: a warm one has read its secret already.
        variables = client.get_function_configuration(FunctionName=function)["Environment"]
        client.update_function_configuration(
            FunctionName=function,
            Environment={"Variables": {**variables["Variables"], "ORION_LOG_LEVEL": "WARNING"}},
        )
        with pytest.raises(DeployFailed, match="arch-migrate failed"):
            rollout.deploy()
        deployed_stacks = [line for line in rollout.told if " cdk deploy " in line]
        assert [line.partition(" in ")[0] for line in deployed_stacks] == [
            "deploy: cdk deploy base"
        ]
        assert ssm.get_parameter(Name=digest)["Parameter"]["Value"] == "another"
    finally:
        vault.put_secret_value(SecretId=name, SecretString=right)
