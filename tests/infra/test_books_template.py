"""What the templates say of the three books: their bucket, their rights, their alarms, their daily
comparison.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infra.cloud.names import ROOT, Stage
from infra.local.poller_template import mappings

STAGE = Stage("prod")
LOCK_DAYS = {"audit": 400, "ledger-book": 3_653}
STEPS = ("plan", "compare", "causes", "sums", "balances", "report")
RECONCILING = ("log-book-roots", *(f"log-reconcile-{step}" for step in STEPS))
# Whose work is the log book, and whose the external one; of the ledger all read something.
OF_SEGMENTS = {"log-book-roots", "log-reconcile-plan", "log-reconcile-compare", "log-prove"}
OF_EXTERNAL = (OF_SEGMENTS - {"log-prove"}) | {"log-reconcile-sums"}
Json = Mapping[str, Any]


def of_type(template: Json, kind: str) -> dict[str, Json]:
    return {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def buckets(template: Json) -> dict[str, Json]:
    """Bucket resources by purpose."""
    found = {}
    for resource in of_type(template, "AWS::S3::Bucket").values():
        name = resource["Properties"]["BucketName"]["Fn::Join"][1][0]
        found[name.removeprefix("orion-prod-").removesuffix("-")] = resource
    return found


def bucket_id(template: Json, purpose: str) -> str:
    found = of_type(template, "AWS::S3::Bucket").items()
    [name] = [name for name, each in found if each is buckets(template)[purpose]]
    return name


def s3_rights(template: Json, bucket: str) -> Iterator[tuple[str, str, str]]:
    """(role, action, what of the bucket) of every role's statement about it."""
    for resource in of_type(template, "AWS::IAM::Role").values():
        for policy in resource["Properties"].get("Policies", []):
            for row in policy["PolicyDocument"]["Statement"]:
                if f'"{bucket}"' in json.dumps(row["Resource"]):
                    [place] = row["Resource"]
                    tail = place["Fn::Join"][1][-1] if "Fn::Join" in place else ""
                    role = resource["Properties"]["RoleName"].removeprefix("orion-prod-")
                    yield from ((role, action, tail) for action in row["Action"])


def test_both_buckets_are_locked_versioned_encrypted_private_and_forget_nothing(
    serverless: Json,
) -> None:
    found = buckets(serverless)
    assert set(found) == set(LOCK_DAYS)
    for purpose, resource in found.items():
        properties = resource["Properties"]
        assert properties["ObjectLockEnabled"] is True
        retention = properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
        assert retention == {"Mode": "GOVERNANCE", "Days": LOCK_DAYS[purpose]}
        assert properties["VersioningConfiguration"]["Status"] == "Enabled"
        assert properties["BucketEncryption"]
        assert all(properties["PublicAccessBlockConfiguration"].values())
        assert "LifecycleConfiguration" not in properties
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resource["UpdateReplacePolicy"] == "Retain"


def test_both_buckets_refuse_what_does_not_come_over_tls(serverless: Json) -> None:
    refusing = set()
    for resource in of_type(serverless, "AWS::S3::BucketPolicy").values():
        [statement] = resource["Properties"]["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        refusing.add(resource["Properties"]["Bucket"]["Ref"])
    assert refusing == set(of_type(serverless, "AWS::S3::Bucket"))


def test_one_function_writes_segments_the_checking_ones_read_them_and_nobody_deletes(
    serverless: Json,
) -> None:
    rights = set(s3_rights(serverless, bucket_id(serverless, "ledger-book")))
    writing = {
        role for role, action, tail in rights if (action, tail) == ("s3:PutObject", "/segments/*")
    }
    assert writing == {"log-ledger-segments"}
    reading = {role for role, action, _ in rights if action == "s3:GetObjectVersion"}
    assert reading == OF_SEGMENTS
    reporting = {role for role, _, tail in rights if tail == "/reports/*"}
    assert reporting == {"log-reconcile-report"}
    assert {action for _, action, _ in rights} == {
        "s3:PutObject",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:ListBucketVersions",
    }


def test_no_role_passes_object_lock_by(serverless: Json) -> None:
    assert "BypassGovernance" not in json.dumps(serverless)
    assert "s3:Delete" not in json.dumps(serverless)


def secrets_of(template: Json, role: str) -> set[str]:
    [found] = [
        each["Properties"]
        for each in of_type(template, "AWS::IAM::Role").values()
        if each["Properties"].get("RoleName") == f"orion-prod-{role}"
    ]
    names = set()
    for policy in found["Policies"]:
        for row in policy["PolicyDocument"]["Statement"]:
            if "secretsmanager:GetSecretValue" in row["Action"]:
                names |= {
                    arn["Fn::Join"][1][-1].split(":secret:")[1][:-7] for arn in row["Resource"]
                }
    return names


def test_each_book_is_written_with_credentials_that_reach_no_other(serverless: Json) -> None:
    assert secrets_of(serverless, "billing-ledger-writer") == {
        "orion/prod/mysql/ledger",
        "AmazonMSK_orion_prod_ledger",
    }
    # It shows what the ledger wrote, and may change nothing of it.
    assert secrets_of(serverless, "billing-statement") == {"orion/prod/mysql/statements"}
    assert secrets_of(serverless, "log-ledger-segments") == {"AmazonMSK_orion_prod_log"}
    assert secrets_of(serverless, "log-external-book") == {
        "orion/prod/postgres/external-book",
        "AmazonMSK_orion_prod_external-book",
    }
    for role in RECONCILING:
        auditor = {"orion/prod/postgres/book-auditor"} if role in OF_EXTERNAL else set()
        assert secrets_of(serverless, role) == {"orion/prod/mysql/log"} | auditor


def test_three_readers_of_what_was_posted_know_nothing_of_each_other(serverless: Json) -> None:
    reading = {each.group: each for each in mappings(serverless) if each.topic == "ledger.posted"}
    assert set(reading) == {
        "orion-billing-ledger-posted",
        "orion-billing-ledger-statements",
        "orion-log-ledger-segments",
        "orion-log-external-book",
    }
    assert len({each.function for each in reading.values()}) == len(reading)
    assert reading["orion-log-ledger-segments"].window_s == 10


def alarms(template: Json) -> dict[str, Json]:
    return {
        each["Properties"]["AlarmName"].removeprefix("orion-prod-"): each["Properties"]
        for each in of_type(template, "AWS::CloudWatch::Alarm").values()
    }


@pytest.mark.parametrize(
    "namespace, metric, minutes, above",
    [
        ("orion/billing", "Legs late", 1, 0),
        ("orion/billing", "Control records skipped", 1, 0),
        ("orion/billing", "Transfers held", 2, 0),
        ("orion/billing", "Statements behind", 2, 1_000),
        ("orion/log", "Reconciliation differences", 1, 0),
    ],
)
def test_what_the_books_count_as_wrong_raises_an_alarm(
    serverless: Json, namespace: str, metric: str, minutes: int, above: int
) -> None:
    found = alarms(serverless)[metric.lower().replace(" ", "-")]
    assert (found["Namespace"], found["MetricName"]) == (namespace, metric)
    assert found["Dimensions"] == [{"Name": "stage", "Value": "prod"}]
    assert (found["Threshold"], found["ComparisonOperator"]) == (above, "GreaterThanThreshold")
    assert (found["Statistic"], found["EvaluationPeriods"]) == ("Maximum", minutes)
    assert found["AlarmActions"]


def test_records_that_wait_for_a_window_are_no_alarm_but_a_full_batch_is(serverless: Json) -> None:
    lag = {name: each for name, each in alarms(serverless).items() if name.endswith("-lag")}
    above = {name: each["Threshold"] for name, each in lag.items() if each["Threshold"] > 0}
    [segments] = [each for each in mappings(serverless) if each.window_s > 0]
    assert above == {"log-ledger-segments-ledger.posted-lag": segments.batch_size}


def test_the_books_are_compared_every_day_at_one_and_a_failure_raises_an_alarm(
    serverless: Json,
) -> None:
    schedules = {
        each["Properties"]["Name"]: each["Properties"]
        for each in of_type(serverless, "AWS::Scheduler::Schedule").values()
    }
    daily = schedules["orion-prod-reconciliation-daily"]
    assert daily["ScheduleExpression"] == "cron(0 1 * * ? *)"
    assert daily["ScheduleExpressionTimezone"] == "UTC"
    assert json.loads(daily["Target"]["Input"]) == {"scope": "recent"}
    machine = daily["Target"]["Arn"]["Ref"]
    name = serverless["Resources"][machine]["Properties"]["StateMachineName"]
    assert name == "orion-prod-reconciliation"
    ends = {"failed": "ExecutionsFailed", "timed-out": "ExecutionsTimedOut",
            "aborted": "ExecutionsAborted"}  # fmt: skip
    for word, metric in ends.items():
        found = alarms(serverless)[f"reconciliation-{word}"]
        assert found["MetricName"] == metric
        assert found["Dimensions"] == [{"Name": "StateMachineArn", "Value": {"Ref": machine}}]


def test_a_daily_start_may_start_its_machine_and_nothing_else(serverless: Json) -> None:
    [role] = [
        each["Properties"]
        for each in of_type(serverless, "AWS::IAM::Role").values()
        if each["Properties"].get("RoleName") == "orion-prod-books-schedules"
    ]
    [document] = [each["PolicyDocument"] for each in role["Policies"]]
    starting = [row for row in document["Statement"] if "states:StartExecution" in row["Action"]]
    [row] = starting
    [arn] = row["Resource"]
    assert serverless["Resources"][arn["Ref"]]["Type"] == "AWS::StepFunctions::StateMachine"


def test_the_reconciliation_has_a_function_for_each_step_that_its_file_calls(
    serverless: Json,
) -> None:
    text = (ROOT / "statemachines" / "reconciliation.asl.json").read_text()
    [machine] = [
        each["Properties"]
        for each in of_type(serverless, "AWS::StepFunctions::StateMachine").values()
        if each["Properties"]["StateMachineName"] == "orion-prod-reconciliation"
    ]
    called = set()
    for key, target in machine["DefinitionSubstitutions"].items():
        assert f"${{{key}}}" in text
        function = serverless["Resources"][target["Fn::GetAtt"][0]]["Properties"]
        called.add(function["FunctionName"].removeprefix("orion-prod-"))
    assert called == set(RECONCILING)
