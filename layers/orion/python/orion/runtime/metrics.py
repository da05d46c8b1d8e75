"""Counts as CloudWatch metrics, written as log lines in the embedded metric format.

Source: Amazon CloudWatch User Guide, "Embedding metrics within logs". A line costs no call and no
right beyond that to log.
"""

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from orion.runtime.log import trace_id
from orion.runtime.settings import stage


def count(module: str, name: str, value: int) -> None:
    """Add `value` to the metric `name` of the namespace `orion/<module>`, dimension `stage`.

    The line carries the trace id of the work at hand, which is no dimension: each trace would be a
    metric of its own.
    """
    with single_metric(
        name=name, unit=MetricUnit.Count, value=value, namespace=f"orion/{module}"
    ) as metric:
        metric.add_dimension(name="stage", value=stage())
        metric.add_metadata(key="trace_id", value=trace_id())
