"""Requests to billing that have one effect for each idempotency key, and their answers."""

from orion.billing.ports import Answer, KeyedRequest
from orion.runtime.idempotency import fingerprint, key_of
from orion.runtime.request import Request, Response, answered_once
from orion.runtime.wakeup import wake


def keyed(request: Request) -> KeyedRequest:
    """The request under its key. Raises IdempotencyKeyMissing, IdempotencyKeyMalformed."""
    return KeyedRequest(
        request.merchant(),
        key_of(request),
        f"{request.method} {request.route}",
        fingerprint(request),
    )


def created(answer: Answer) -> Response:
    """The answer, after waking the relay that tells what was done."""
    wake("billing")
    return answered_once(answer.status, answer.body, replayed=answer.replayed)
