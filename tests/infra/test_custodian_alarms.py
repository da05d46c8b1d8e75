"""What a custodian's keepers are told, and that what is counted is what the custodian writes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from infra.cloud.custody import CUSTODIANS
from infra.cloud.names import ROOT

Template = Mapping[str, Any]
PRODUCT = ROOT / "layers" / "orion" / "python"
MARKER = "5ec2e7"


def of_type(template: Template, kind: str) -> list[Mapping[str, Any]]:
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


def alarms(template: Template) -> dict[str, Mapping[str, Any]]:
    return {each["AlarmName"]: each for each in of_type(template, "AWS::CloudWatch::Alarm")}


def measured(alarm: Mapping[str, Any]) -> tuple[object, ...]:
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    return alarm["Namespace"], alarm["MetricName"], dimensions


@pytest.fixture(params=CUSTODIANS)
def number(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture
def template(custodians: Mapping[int, Template], number: int) -> Template:
    return custodians[number]


def test_errors_throttles_refusals_and_the_stores_failures_are_each_an_alarm(
    template: Template, number: int
) -> None:
    me = f"orion-prod-custodian-{number}"
    function, store = {"FunctionName": {"Ref": "Function"}}, {"TableName": {"Ref": "Store"}}
    assert {name: measured(alarm) for name, alarm in alarms(template).items()} == {
        f"{me}-errors": ("AWS/Lambda", "Errors", function),
        f"{me}-throttles": ("AWS/Lambda", "Throttles", function),
        f"{me}-refusals": ("orion/custodian", f"{me}-refusals", {}),
        f"{me}-read-throttles": ("AWS/DynamoDB", "ReadThrottleEvents", store),
        f"{me}-write-throttles": ("AWS/DynamoDB", "WriteThrottleEvents", store),
        **{
            f"{me}-system-errors-{operation.lower()}": (
                "AWS/DynamoDB",
                "SystemErrors",
                {**store, "Operation": operation},
            )
            for operation in ("GetItem", "BatchGetItem", "TransactWriteItems", "UpdateItem")
        },
    }


def test_one_occurrence_in_a_minute_is_told_and_so_is_its_end(
    template: Template, number: int
) -> None:
    [topic] = of_type(template, "AWS::SNS::Topic")
    assert topic["TopicName"] == f"orion-prod-custodian-{number}-alarms"
    [told] = of_type(template, "AWS::SNS::TopicPolicy")
    for alarm in alarms(template).values():
        assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)
        assert (alarm["Period"], alarm["EvaluationPeriods"]) == (60, 1)
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"] == alarm["OKActions"] == told["Topics"]


def test_every_operation_of_the_store_is_watched(template: Template) -> None:
    source = (PRODUCT / "orion" / "adapters" / "aws" / "custodian_store.py").read_text()
    called = set(re.findall(r"self\._dynamodb\.([a-z_]+)\(", source))
    watched = {
        measured(alarm)[2]["Operation"]  # type: ignore[index]
        for alarm in alarms(template).values()
        if alarm["MetricName"] == "SystemErrors"
    }
    assert watched == {"".join(word.title() for word in name.split("_")) for name in called}


def test_only_alarms_and_the_rule_may_tell_the_topic_and_only_over_tls(template: Template) -> None:
    [policy] = of_type(template, "AWS::SNS::TopicPolicy")
    *allowed, denied = policy["PolicyDocument"]["Statement"]
    assert [(each["Effect"], each["Principal"], each["Action"]) for each in allowed] == [
        ("Allow", {"Service": "cloudwatch.amazonaws.com"}, "sns:Publish"),
        ("Allow", {"Service": "events.amazonaws.com"}, "sns:Publish"),
    ]
    assert denied["Effect"] == "Deny"
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_who_asks_to_disable_delete_or_hand_on_a_key_is_told(template: Template) -> None:
    [rule] = of_type(template, "AWS::Events::Rule")
    [policy] = of_type(template, "AWS::SNS::TopicPolicy")
    assert rule["EventPattern"] == {
        "source": ["aws.kms"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventSource": ["kms.amazonaws.com"],
            "eventName": ["DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy"],
        },
    }
    assert [target["Arn"] for target in rule["Targets"]] == policy["Topics"]


def test_the_line_of_a_refusal_is_counted_and_says_nothing_of_the_request(
    template: Template, number: int
) -> None:
    [counted] = of_type(template, "AWS::Logs::MetricFilter")
    assert counted["LogGroupName"] == {"Ref": "Logs"}
    [metric] = counted["MetricTransformations"]
    refusals = alarms(template)[f"orion-prod-custodian-{number}-refusals"]
    assert measured(refusals)[:2] == (metric["MetricNamespace"], metric["MetricName"])
    assert (metric["MetricValue"], metric.get("Dimensions", [])) == ("1", [])

    pattern = re.fullmatch(r'\{ \$\.(\w+) = "([^"]+)" \}', counted["FilterPattern"])
    assert pattern is not None
    lines = log_of_a_refusal(number)
    assert [json.loads(line)[pattern[1]] for line in lines] == [pattern[2]]
    assert MARKER not in "".join(lines)


def log_of_a_refusal(number: int) -> list[str]:
    """What a custodian writes that is asked for something which it does not know."""
    event = {"v": 1, "trace_id": "0" * 32, "operation": MARKER, MARKER: MARKER}
    program = (
        "from orion.runtime.custodian import answer\n"
        f"assert answer({event!r})['outcome'] == 'refused'\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PRODUCT),
            "ORION_CUSTODIAN": str(number),
            "ORION_MODULE": "kms",
        },
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return run.stdout.splitlines()
