"""What billing counts as wrong raises an alarm."""

from collections.abc import Mapping

from tests.infra.test_serverless_template import functions, of_type

Json = Mapping[str, object]


def test_payments_whose_block_stays_gone_raise_an_alarm_beside_what_counts_them(
    function_stacks: Mapping[str, Json],
) -> None:
    [stack] = [
        one for one in function_stacks.values() if "orion-prod-billing-expiry" in functions(one)
    ]
    [found] = [
        alarm
        for alarm in of_type(stack, "AWS::CloudWatch::Alarm").values()
        if alarm["AlarmName"] == "orion-prod-deposits-reversed-long"
    ]
    assert (found["Namespace"], found["MetricName"]) == ("orion/billing", "Deposits reversed long")
    assert found["Dimensions"] == [{"Name": "stage", "Value": "prod"}]
    assert (found["Statistic"], found["Threshold"]) == ("Maximum", 0)
    assert (found["ComparisonOperator"], found["EvaluationPeriods"]) == ("GreaterThanThreshold", 1)
    assert found["AlarmActions"]
