"""Messages as java-tron shows them in JSON and reads them back.

Defaults are left out; bytes are hex; addresses are hex, or Base58Check when the request says
`"visible": true`. Source: java-tron's JsonFormat and Util, developers.tron.network "HTTP API".
"""

from infra.local.tron import addresses
from infra.local.tron.wire import Field, Kind, MalformedMessage, Message, Schema, several


def to_json(schema: Schema, message: Message, *, visible: bool) -> dict[str, object]:
    """`message` for an answer."""
    out: dict[str, object] = {}
    for entry in schema.fields:
        value = message.get(entry.name)
        if value is None:
            continue
        if entry.repeated:
            shown = [_shown(entry, one, visible=visible) for one in several(message, entry.name)]
            if shown:
                out[entry.name] = shown
        elif entry.kind is Kind.MESSAGE or value not in (0, b"", "", False):
            out[entry.name] = _shown(entry, value, visible=visible)
    return out


def _shown(entry: Field, value: object, *, visible: bool) -> object:
    if isinstance(value, dict) and entry.schema is not None:
        return to_json(entry.schema, value, visible=visible)
    if isinstance(value, bytes):
        if entry.kind is Kind.ADDRESS:
            return addresses.shown(value, visible=visible)
        return value.hex()
    if entry.kind is Kind.CHOICE and isinstance(value, int):
        return entry.names.get(value, value)
    return value


def from_json(schema: Schema, source: object, *, visible: bool) -> Message:
    """The message of a request; names that the schema lacks are ignored, as java-tron does.

    Raises MalformedMessage.
    """
    if not isinstance(source, dict):
        raise MalformedMessage(f"{schema.name} is no JSON object")
    message: Message = {}
    for entry in schema.fields:
        value = source.get(entry.name)
        if value is None:
            continue
        if entry.repeated:
            if not isinstance(value, list):
                # One value stands for a list of one: permission updates come so from tronweb.
                value = [value]
            message[entry.name] = [_read(entry, one, visible=visible) for one in value]
        else:
            message[entry.name] = _read(entry, value, visible=visible)
    return message


def _read(entry: Field, value: object, *, visible: bool) -> object:
    match entry.kind:
        case Kind.MESSAGE if entry.schema is not None:
            return from_json(entry.schema, value, visible=visible)
        case Kind.NUMBER:
            return whole(entry.name, value)
        case Kind.TRUTH:
            return value is True or value == "true"
        case Kind.TEXT if isinstance(value, str):
            return value
        case Kind.CHOICE:
            return _chosen(entry, value)
        case Kind.ADDRESS | Kind.OCTETS if isinstance(value, str):
            try:
                if entry.kind is Kind.ADDRESS:
                    return addresses.read(value, visible=visible)
                return bytes.fromhex(value)
            except ValueError as exc:
                raise MalformedMessage(f"{entry.name}: {exc}") from exc
        case _:
            raise MalformedMessage(f"{entry.name} is of the wrong type")


def _chosen(entry: Field, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise MalformedMessage(f"{entry.name} is of the wrong type")
    for known, name in entry.names.items():
        if value in (known, name) or (isinstance(value, str) and value.lower() == name.lower()):
            return known
    raise MalformedMessage(f"{entry.name} has no choice {value!r}")


def whole(name: str, value: object) -> int:
    """A whole number, which may also be written as a text. Raises MalformedMessage."""
    if isinstance(value, str) and value.lstrip("-").isdigit() and len(value) <= 20:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedMessage(f"{name} is no whole number")
    return value
