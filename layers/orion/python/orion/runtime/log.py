"""Structured logs: one JSON object a line, with the trace id of the work at hand and without
secrets.
"""

import logging
import os
import secrets
import sys
from contextvars import ContextVar

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

_trace_id: ContextVar[str] = ContextVar("trace_id", default="")


class _WithTrace(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.trace_id = _trace_id.get()
        return True


def new_trace_id() -> str:
    """32 random hexadecimal digits, the form of W3C Trace Context."""
    return secrets.token_hex(16)


def trace_id() -> str:
    """The trace id of the work at hand; a new one where none was set."""
    current = _trace_id.get()
    if not current:
        current = new_trace_id()
        _trace_id.set(current)
    return current


def set_trace_id(value: str) -> None:
    """Say which trace the following work and its log lines belong to."""
    _trace_id.set(value)


def logger() -> logging.Logger:
    """The process's logger. The first call puts the formatter on the root logger, so that every
    module's lines obey it.
    """
    root = logging.getLogger()
    if not any(isinstance(f, _WithTrace) for handler in root.handlers for f in handler.filters):
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(
            LambdaPowertoolsFormatter(
                service=os.environ.get("ORION_MODULE", "orion"),
                utc=True,
                log_record_order=["level", "message"],
            )
        )
        handler.addFilter(_WithTrace())
        root.handlers[:] = [handler]
        root.setLevel(os.environ.get("ORION_LOG_LEVEL", "INFO"))
        for noisy in ("botocore", "boto3", "urllib3", "kafka"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
    return logging.getLogger("orion")
