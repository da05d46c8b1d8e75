"""What is known of one route of the public API: enough to serve it, to read its requests, to limit
its callers, and to describe it in the OpenAPI document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orion.runtime.api_schema.kinds import Media, Object, Parameter
from orion.scopes import Scope


class RateClass(StrEnum):
    """Which quota a request is counted in (docs/api.md, "Rate limits").

    The open ones are counted by source address, `none` is not, the others by API key and by
    merchant. `refused` is no route's: it counts by source address what reaches none.
    """

    READ = "read"
    WRITE = "write"
    EXPENSIVE = "expensive"
    OPEN_READ = "open_read"
    OPEN_WRITE = "open_write"
    REFUSED = "refused"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Route:
    """`function` is `<module>/<file>` under functions/; `scope` None is open to everyone, without a
    key.

    `summary` is a few words for the reader of the API's description. `request` describes the JSON
    body, `query` the parameters, `answers` what a status comes with (None: no body). `refuses` are
    the codes of this route's own problems; those that its kind of request implies are added by the
    description. `idempotency_key` says whether the header Idempotency-Key is needed; None: exactly
    with POST. `counted_in` None: read for GET, else write, by address where the route is open.
    """

    method: str
    path: str
    function: str
    scope: Scope | None
    summary: str = ""
    request: Object | None = None
    query: tuple[Parameter, ...] | None = None
    answers: Mapping[int, Object | Media | None] = field(default_factory=dict)
    refuses: tuple[str, ...] = ()
    idempotency_key: bool | None = None
    counted_in: RateClass | None = None

    @property
    def needs_idempotency_key(self) -> bool:
        return self.method == "POST" if self.idempotency_key is None else self.idempotency_key

    @property
    def has_etag(self) -> bool:
        """Whether a caller may ask for what GET gives again only if it changed."""
        given = self.answers.get(200)
        return self.method == "GET" and self.scope is not None and isinstance(given, Object)

    @property
    def rate_class(self) -> RateClass:
        if self.counted_in is not None:
            return self.counted_in
        reads = self.method == "GET"
        if self.scope is None:
            return RateClass.OPEN_READ if reads else RateClass.OPEN_WRITE
        return RateClass.READ if reads else RateClass.WRITE
