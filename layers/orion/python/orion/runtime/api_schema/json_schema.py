"""Descriptions written as JSON Schema 2020-12."""

from collections.abc import Mapping

from orion.runtime.api_schema.kinds import (
    AnyObject,
    Choice,
    Flag,
    Kind,
    Labels,
    Listing,
    Member,
    Object,
    Text,
    Whole,
)

# What `reading` takes as a text: no control characters, and none that queues do not take.
_READABLE = r"^[^\u0000-\u001f\u007f\ufffe\uffff]*$"
_PLACE = "#/components/schemas/"


class NameTwice(Exception):
    """Two different objects of one name: the document could show only one."""


class Schemas:
    """Collects the named objects of a document while they are written."""

    def __init__(self) -> None:
        self._written: dict[str, tuple[Object, bool]] = {}
        self.components: dict[str, Mapping[str, object]] = {}

    def of(self, kind: Kind, *, asked: bool) -> dict[str, object]:
        """The schema of `kind`; `asked`: as a request has it. Raises NameTwice."""
        match kind:
            case Text():
                return _text(kind, asked=asked)
            case Choice():
                return {"type": "string", "enum": list(kind.values)}
            case Whole():
                return {"type": "integer", "minimum": kind.minimum, "maximum": kind.maximum}
            case Flag():
                return {"type": "boolean"}
            case Labels():
                return _labels(kind)
            case Listing():
                return self._listing(kind, asked=asked)
            case AnyObject():
                return {"type": "object", "description": kind.note}
            case Object():
                return self._named(kind, asked=asked)

    def _named(self, kind: Object, *, asked: bool) -> dict[str, object]:
        known = self._written.get(kind.name)
        if known is not None and known != (kind, asked):
            raise NameTwice(kind.name)
        if known is None:
            self._written[kind.name] = (kind, asked)
            self.components[kind.name] = self._object(kind, asked=asked)
        return {"$ref": _PLACE + kind.name}

    def _object(self, kind: Object, *, asked: bool) -> dict[str, object]:
        schema: dict[str, object] = {
            "type": "object",
            "properties": {
                member.name: self._member(member, asked=asked) for member in kind.members
            },
        }
        required = [member.name for member in kind.members if not member.optional]
        if required:
            schema["required"] = required
        if asked:
            # Answers grow by new members, so only requests are closed.
            schema["additionalProperties"] = False
        return schema

    def _member(self, member: Member, *, asked: bool) -> dict[str, object]:
        schema = self.of(member.kind, asked=asked)
        if member.optional if asked else member.nullable:
            schema = _or_null(schema)
        return {**schema, "description": member.note} if member.note else schema

    def _listing(self, kind: Listing, *, asked: bool) -> dict[str, object]:
        schema: dict[str, object] = {"type": "array", "items": self.of(kind.item, asked=asked)}
        if kind.min_items:
            schema["minItems"] = kind.min_items
        if kind.max_items is not None:
            schema["maxItems"] = kind.max_items
        if asked and not isinstance(kind.item, Object | Labels | Listing):
            schema["uniqueItems"] = True
        return schema


def anchored(pattern: str) -> str:
    """The pattern for the whole text: JSON Schema's own are searched for anywhere."""
    return f"^(?:{pattern})$"


def _text(kind: Text, *, asked: bool) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    if asked and kind.min_length:
        schema["minLength"] = kind.min_length
    if kind.max_length is not None:
        schema["maxLength"] = kind.max_length
    form = kind.pattern or kind.form
    if form is not None:
        schema["pattern"] = anchored(form)
    elif asked and kind.format is None:
        schema["pattern"] = _READABLE
    if kind.format is not None:
        schema["format"] = kind.format
    return schema


def _labels(kind: Labels) -> dict[str, object]:
    return {
        "type": "object",
        "maxProperties": kind.max_items,
        "propertyNames": {"minLength": 1, "maxLength": kind.max_name, "pattern": _READABLE},
        "additionalProperties": {
            "type": "string",
            "maxLength": kind.max_value,
            "pattern": _READABLE,
        },
    }


def _or_null(schema: dict[str, object]) -> dict[str, object]:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    widened = {**schema, "type": [schema["type"], "null"]}
    values = schema.get("enum")
    if isinstance(values, list):
        widened["enum"] = [*values, None]
    return widened
