"""One request of the HTTP API: its parameters, from a JSON body or a query."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from infra.local.tron import addresses
from infra.local.tron.json_form import whole
from infra.local.tron.wire import MalformedMessage


@dataclass(frozen=True, slots=True)
class Request:
    """`solid` says that it came to /walletsolidity; `values` are the parameters as they came."""

    values: Mapping[str, object]
    visible: bool
    solid: bool

    def text(self, name: str, default: str | None = None) -> str:
        """A text. Raises MalformedMessage."""
        value = self.values.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise MalformedMessage(f"{name} is missing")
        if not value.isprintable():
            raise MalformedMessage(f"{name} is no text of whole characters")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number. Raises MalformedMessage."""
        value = self.values.get(name, default)
        if value is None:
            raise MalformedMessage(f"{name} is missing")
        return whole(name, value)

    def address(self, name: str) -> bytes:
        """An address in the request's notation. Raises MalformedMessage."""
        try:
            found = addresses.read(self.text(name), visible=self.visible)
        except ValueError as exc:
            raise MalformedMessage(f"{name}: {exc}") from exc
        if not addresses.is_address(found):
            raise MalformedMessage(f"{name} is no address")
        return found

    def octets(self, name: str, default: str | None = None) -> bytes:
        """Bytes in hex. Raises MalformedMessage."""
        try:
            return bytes.fromhex(self.text(name, default).removeprefix("0x"))
        except ValueError as exc:
            raise MalformedMessage(f"{name} is not hex") from exc

    def truth(self, name: str) -> bool:
        """Whether it is true; false when absent."""
        return _true(self.values.get(name))


def read_request(query: str, body: bytes, *, solid: bool) -> Request:
    """Parameters of the body win over those of the query. Raises MalformedMessage."""
    values: dict[str, object] = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=50))
    if body.strip():
        try:
            found = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise MalformedMessage(f"the body is not JSON ({exc})") from exc
        if not isinstance(found, dict):
            raise MalformedMessage("the body is no JSON object")
        values.update(found)
    return Request(values, _true(values.get("visible")), solid)


def _true(value: object) -> bool:
    return value is True or value == "true"
