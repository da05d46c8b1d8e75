"""How a call of an operator is answered: what another request would mend comes back as `refused`,
everything else is raised, so that the same call may be made again.
"""

import logging
from collections.abc import Callable, Mapping

from orion.errors import OrionError, Retry
from orion.runtime.log import logger, new_trace_id, set_trace_id

Answer = Mapping[str, object]

_log = logging.getLogger(__name__)


def answered(name: str, work: Callable[[str], Answer]) -> Answer:
    """What `work` answers under a trace id of its own; `name` says in the log what was refused."""
    logger()
    trace_id = new_trace_id()
    set_trace_id(trace_id)
    try:
        return work(trace_id)
    except OrionError as refusal:
        if refusal.retry is not Retry.NEVER:
            raise
        _log.warning("operator's call refused", extra={"call": name, "code": refusal.code})
        return {"outcome": "refused", "code": refusal.code, "detail": refusal.detail}
