"""The root of the error taxonomy: one class per condition that a caller can act on."""

from enum import StrEnum
from typing import ClassVar

FieldValue = str | int | None


class Retry(StrEnum):
    """What a caller may do after an error."""

    NEVER = "never"  # The request itself must change.
    SAME_KEY = "same_key"  # The outcome is unknown: retry with the same idempotency key.
    LATER = "later"  # Nothing happened: retry after a back-off.


class OrionError(Exception):
    """A condition with a stable `code`. `detail` is for people, `fields` for programs; neither
    holds a secret.
    """

    code: ClassVar[str] = "internal"
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(self, detail: str, **fields: FieldValue) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields

    def __str__(self) -> str:
        named = " ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"{self.code}: {self.detail}" + (f" ({named})" if named else "")


class Unavailable(OrionError):
    """Something this request needs does not answer. Nothing happened, or a repeat is harmless."""

    code = "temporarily_unavailable"
    retry = Retry.LATER
