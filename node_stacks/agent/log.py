"""One JSON object a line on standard error, with the trace id where a line belongs to one."""

import json
import logging
import sys
from datetime import UTC, datetime

from orion.errors import OrionError

_OWN_NAMES = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Every field given as `extra` becomes a field of the line."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "node": self._node,
            "message": record.getMessage(),
        }
        line.update(
            (name, value) for name, value in record.__dict__.items() if name not in _OWN_NAMES
        )
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OrionError):
            line.update(error.fields)
            line.update(code=error.code, detail=error.detail)
        elif record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def start_logging(node: str) -> None:
    """Send everything from INFO up to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(node))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for talkative in ("botocore", "boto3", "urllib3", "websockets"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
