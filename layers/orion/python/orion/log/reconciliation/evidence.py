"""How a rule of causes tells what is untrue."""

from collections.abc import Mapping

from orion.log.reconciliation.model import DifferenceKind

MERCHANT = "merchant:"
SYSTEM = "system:"

Cause = Mapping[str, object]


class Untrue(Exception):
    """What a rule found. Never leaves this module."""

    def __init__(self, kind: DifferenceKind, found: str, expected: str) -> None:
        super().__init__(found)
        self.kind = kind
        self.found = found
        self.expected = expected


def differs(found: str, expected: str) -> Untrue:
    return Untrue(DifferenceKind.CAUSE_DIFFERS, found, expected)


def not_found(what: str) -> Untrue:
    return Untrue(DifferenceKind.CAUSE_NOT_FOUND, "nothing", what)


def must(name: str, found: object, expected: object) -> None:
    if found != expected:
        raise differs(f"{name} {_word(found)}", f"{name} {_word(expected)}")


def _word(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def deposit_cause(cause: Cause) -> tuple[bytes, int]:
    """The deposit and the credit epoch that a cause names."""
    deposit, epoch = cause.get("deposit_id"), cause.get("credit_epoch")
    if type(epoch) is not int or epoch < 0:
        raise differs("a credit epoch of another form", "a whole number")
    return identity_of(deposit, "deposit_id"), epoch


def identity_of(value: object, name: str) -> bytes:
    if isinstance(value, str) and len(value) == 32:
        try:
            return bytes.fromhex(value)
        except ValueError:
            pass
    raise differs(f"{name} of another form", f"{name} of 32 hexadecimal digits")
