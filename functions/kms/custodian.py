"""One of five custodians (`ORION_CUSTODIAN`): signs what is instructed, evidenced and within its
own caps.
"""

from collections.abc import Mapping

from orion.runtime.custodian import answer


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return answer(event)
