"""How a call that is no merchant's request is answered: what the call itself must change comes back
as `refused` with its code, everything else is raised, so that the same call may be made again.
"""

import logging
from collections.abc import Callable, Mapping

from orion.errors import OrionError, Retry
from orion.runtime.log import logger, new_trace_id, set_trace_id

Answer = Mapping[str, object]

_log = logging.getLogger(__name__)


def answered(name: str, work: Callable[[str], Answer]) -> Answer:
    """What `work` answers under a trace id of its own; `name` says in the log what was refused."""
    trace_id = new_trace_id()
    set_trace_id(trace_id)
    return typed(name, lambda: work(trace_id))


def typed(
    name: str, work: Callable[[], Answer], refusals: tuple[type[OrionError], ...] = ()
) -> Answer:
    """What `work` answers. `refusals` are refused although a later call may succeed: the caller has
    to decide when.
    """
    logger()
    try:
        return work()
    except OrionError as refusal:
        if refusal.retry is not Retry.NEVER and not isinstance(refusal, refusals):
            raise
        _log.warning("call refused", extra={"call": name, "code": refusal.code})
        return {
            "outcome": "refused",
            "code": refusal.code,
            "detail": refusal.detail,
            "fields": dict(refusal.fields),
        }
