"""The merchant itself: registration, API keys, settings."""

from collections.abc import Sequence
from typing import Any, cast

from orion_client.resources import Resource, at, given
from orion_client.shapes import ApiKey, Merchant, NewApiKey
from orion_client.shapes import Settings as SettingsNow


class Merchants(Resource):
    """`/v1/merchants`: open to everyone, without a key."""

    def create(self, *, name: str, idempotency_key: str | None = None) -> Merchant:
        """A new merchant with a first key, which may only make keys."""
        body = {"name": name}
        made = self._json("POST", "/v1/merchants", body=body, idempotency_key=idempotency_key)
        return cast(Merchant, made)


class ApiKeys(Resource):
    """`/v1/api-keys`"""

    def create(
        self, *, name: str, scopes: Sequence[str], idempotency_key: str | None = None
    ) -> NewApiKey:
        """A new key; its secret is in this answer and never again."""
        body = {"name": name, "scopes": list(scopes)}
        made = self._json("POST", "/v1/api-keys", body=body, idempotency_key=idempotency_key)
        return cast(NewApiKey, made)

    def list(self) -> list[ApiKey]:
        """All keys that work; at most 100."""
        return cast("list[ApiKey]", self._json("GET", "/v1/api-keys")["data"])

    def revoke(self, key_id: str) -> None:
        """Take a key back; it works for at most a minute more."""
        self._transport.send("DELETE", at("/v1/api-keys/{id}", id=key_id))


class Settings(Resource):
    """`/v1/settings`"""

    def get(self) -> SettingsNow:
        """What new invoices take where their request says nothing."""
        return cast(SettingsNow, self._json("GET", "/v1/settings"))

    def change(
        self, *, tolerance_bps: int | None = None, expires_in_s: int | None = None
    ) -> SettingsNow:
        """Replace them all; what is left out goes back to its default."""
        body = given(tolerance_bps=tolerance_bps, expires_in_s=expires_in_s)
        return cast(SettingsNow, self._json("PUT", "/v1/settings", body=body))


class Description(Resource):
    """`/v1/openapi.json`"""

    def get(self) -> dict[str, Any]:
        """The API's own description (OpenAPI 3.1)."""
        return cast("dict[str, Any]", self._json("GET", "/v1/openapi.json"))
