"""When a request is sent again, and after which pause. Pure: randomness is an argument."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Statuses that say, without a problem document of ours, that the request was not served: a gateway
# between us and the API wrote them.
_BUSY = frozenset({429, 502, 503, 504})
_ANOTHER_TRY = frozenset({"later", "same_key"})


@dataclass(frozen=True, slots=True)
class Retries:
    """At most `attempts` requests a call. The pause before attempt n + 1 is random between half and
    all of `pause_s` doubled n times, at most `pause_max_s`, and never shorter than the answer's
    Retry-After; an answer that asks for more than `retry_after_max_s` is not waited for.

    0.5 s doubled, four attempts: pauses of at most 0.5, 1 and 2 s, 3.5 s in all.
    """

    attempts: int = 4
    pause_s: float = 0.5
    pause_max_s: float = 8.0
    retry_after_max_s: float = 30.0

    def pause_before_next(
        self, attempt: int, retry_after_s: float | None, random: Callable[[], float]
    ) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 1), or None to give up."""
        if attempt >= self.attempts:
            return None
        if retry_after_s is not None and retry_after_s > self.retry_after_max_s:
            return None
        most = min(self.pause_max_s, self.pause_s * 2.0 ** (attempt - 1))
        return max(most * (0.5 + random() / 2), retry_after_s or 0.0)


def worth_repeating(status: int, problem: Mapping[str, object]) -> bool:
    """Whether the same request may be answered otherwise in a moment.

    The problem's own `retry` decides; a key whose first request is still under way is waited for.
    """
    if problem.get("code") == "idempotency_key_in_flight":
        return True
    advice = problem.get("retry")
    if isinstance(advice, str) and status != 429:
        return advice in _ANOTHER_TRY
    return status in _BUSY


def retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3); its form as a date is not used here."""
    text = (header or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
