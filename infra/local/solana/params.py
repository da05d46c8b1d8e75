"""Reading the parameters of a call; everything wrong with them is an answer -32602."""

from base64 import b64decode
from collections.abc import Mapping, Sequence

from solders.pubkey import Pubkey
from solders.signature import Signature

from infra.local.solana import base58
from infra.local.solana.message import TRANSACTION_BYTES_MAX
from infra.local.solana.model import Json, Level
from infra.local.solana.rpc_errors import INVALID_PARAMS, RpcError, invalid

_PARAMS_MAX = 8
_U64_MAX = 2**64 - 1


class Options:
    """The configuration object of a call; keys that nobody knows are ignored, as Agave does."""

    def __init__(self, found: Mapping[str, Json]) -> None:
        self._found = found

    def level(self, default: Level = Level.FINALIZED, name: str = "commitment") -> Level:
        text = self._found.get(name)
        if text is None:
            return default
        try:
            return Level(text)
        except ValueError as exc:
            raise invalid(f"unknown commitment {str(text)[:40]}") from exc

    def flag(self, name: str) -> bool:
        return self.given(name, default=False)

    def given(self, name: str, *, default: bool) -> bool:
        """A boolean, `default` when it is not given."""
        value = self._found.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid(f"{name} is not a boolean")
        return value

    def integer(self, name: str) -> int | None:
        value = self._found.get(name)
        return None if value is None else as_integer(value, name)

    def text(self, name: str) -> str | None:
        value = self._found.get(name)
        if value is not None and not isinstance(value, str):
            raise invalid(f"{name} is not a string")
        return value

    def object(self, name: str) -> "Options | None":
        value = self._found.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise invalid(f"{name} is not an object")
        return Options(value)

    def array(self, name: str, maximum: int) -> Sequence[Json]:
        value = self._found.get(name)
        if value is None:
            return ()
        return as_array(value, name, maximum)


class Params:
    """The positional parameters of a call."""

    def __init__(self, raw: Json) -> None:
        if raw is None:
            raw = []
        if not isinstance(raw, list) or len(raw) > _PARAMS_MAX:
            raise RpcError(INVALID_PARAMS, "`params` should be an array")
        self._raw = raw

    def has(self, at: int) -> bool:
        return at < len(self._raw) and self._raw[at] is not None

    def raw(self, at: int) -> Json:
        if not self.has(at):
            raise RpcError(INVALID_PARAMS, "`params` should have more elements")
        return self._raw[at]

    def text(self, at: int) -> str:
        value = self.raw(at)
        if not isinstance(value, str):
            raise invalid(f"parameter {at} is not a string")
        return value

    def integer(self, at: int) -> int:
        return as_integer(self.raw(at), f"parameter {at}")

    def pubkey(self, at: int) -> Pubkey:
        return as_pubkey(self.raw(at))

    def options(self, at: int) -> Options:
        if not self.has(at):
            return Options({})
        value = self._raw[at]
        if not isinstance(value, dict):
            raise invalid(f"parameter {at} is not an object")
        return Options(value)


def as_integer(value: Json, name: str) -> int:
    """An unsigned integer of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _U64_MAX:
        raise invalid(f"{name} is not an unsigned integer")
    return value


def as_array(value: Json, name: str, maximum: int) -> Sequence[Json]:
    if not isinstance(value, list):
        raise invalid(f"{name} is not an array")
    if len(value) > maximum:
        raise RpcError(INVALID_PARAMS, f"Too many inputs provided; max {maximum}")
    return value


def as_pubkey(value: Json) -> Pubkey:
    try:
        return Pubkey.from_string(value)
    except (TypeError, ValueError) as exc:
        raise invalid("Invalid public key") from exc


def as_signature(value: Json) -> str:
    try:
        return str(Signature.from_string(value))
    except (TypeError, ValueError) as exc:
        raise invalid("Invalid signature") from exc


def as_bytes(text: str, encoding: str | None, what: str) -> bytes:
    """Decode at most a packet's bytes from base58 (the default) or base64."""
    if encoding not in (None, "base58", "base64"):
        raise invalid(f"unsupported encoding: {encoding}. Supported encodings: base58, base64")
    try:
        if encoding == "base64":
            raw = b64decode(text, validate=True)
        else:
            raw = base58.decode(text)
    except ValueError as exc:
        raise invalid(f"{encoding or 'base58'} encoded {what}: {exc}") from exc
    if len(raw) > TRANSACTION_BYTES_MAX:
        raise RpcError(
            INVALID_PARAMS,
            f"decoded {what} too large: {len(raw)} bytes (max: {TRANSACTION_BYTES_MAX} bytes)",
        )
    return raw
