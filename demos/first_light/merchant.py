"""A merchant's side of the story: only HTTP, as any shop would."""

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

TIMEOUT_S = 15
SCOPES = (
    "invoices:write",
    "invoices:read",
    "balances:read",
    "rates:write",
    "webhooks:write",
)


class StoryFailure(Exception):
    """The story did not go as told; the text says what was expected of the product."""


@dataclass(frozen=True, slots=True)
class Api:
    """The public API of one lane as seen with one key (or none)."""

    base_url: str
    key: str | None = None

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Mapping[str, Any]:
        """The JSON answer of one request. Raises StoryFailure for any status but 2xx."""
        headers = {"Content-Type": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        if method == "POST":
            headers["Idempotency-Key"] = idempotency_key or secrets.token_hex(16)
        request = urllib.request.Request(  # noqa: S310 - the stack's own address
            self.base_url + path,
            method=method,
            headers=headers,
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as exc:
            problem = exc.read().decode(errors="replace")
            raise StoryFailure(f"{method} {path} was answered {exc.code}: {problem}") from exc
        except OSError as exc:
            raise StoryFailure(f"{method} {path} was not answered: {exc}") from exc
        return cast(Mapping[str, Any], json.loads(text or b"{}"))


def register(base_url: str, name: str) -> Api:
    """A new merchant with a key of the scopes that a shop needs."""
    merchant = Api(base_url).call("POST", "/v1/merchants", {"name": name})
    first = Api(base_url, str(merchant["api_key"]))
    made = first.call("POST", "/v1/api-keys", {"name": "shop", "scopes": list(SCOPES)})
    return Api(base_url, str(made["api_key"]))


def balance(api: Api, asset: str) -> str:
    """The merchant's total of `asset` in the ledger, as a decimal string; "absent" where it has no
    account.
    """
    for row in api.call("GET", "/v1/balances")["data"]:
        if row["asset"] == asset:
            return str(row["total"])
    return "absent"


def wait_for(
    what: str, look: Callable[[], bool], *, timeout_s: float = 30, pause_s: float = 0.02
) -> None:
    """Look until it is so. Raises StoryFailure with `what` was expected."""
    deadline = time.monotonic() + timeout_s
    while not look():
        if time.monotonic() > deadline:
            raise StoryFailure(f"expected within {timeout_s:.0f} s: {what}")
        time.sleep(pause_s)
