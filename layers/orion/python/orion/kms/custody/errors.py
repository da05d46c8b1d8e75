"""Why a custodian signs nothing. Each refusal has a stable `code`, a field `reason`, and `part`:
what of the request is missing or altered. docs/custody.md lists the reasons.
"""

from orion.errors import OrionError, Retry


class CustodianRefusal(OrionError):
    """A refusal that no repetition of the same request mends."""

    code = "custodian_refused"

    def __init__(self, detail: str, *, reason: str, part: str, **fields: str | int | None) -> None:
        super().__init__(detail, reason=reason, part=part, **fields)
        self.reason = reason
        self.part = part


class RequestRefused(CustodianRefusal):
    """Fields that are missing, unknown, of another type, or beyond a limit."""

    code = "malformed_request"


class InstructionRefused(CustodianRefusal):
    """An instruction that contradicts itself, the deployment, or the others of its request."""

    code = "instruction_refused"


class EvidenceRefused(CustodianRefusal):
    """A statement that is missing, altered, expired, about something else, or by wrong people."""

    code = "evidence_refused"


class SpendDiffers(CustodianRefusal):
    """The transaction does something else than its instructions say."""

    code = "spend_differs"


class ConflictRefused(CustodianRefusal):
    """An instruction, claim or version that belongs to another effect, or a version that could
    become final beside one signed before.
    """

    code = "conflict_refused"


class VelocityRefused(CustodianRefusal):
    """More than this custodian signs for in 24 hours, or an asset that it has no cap for."""

    code = "velocity_refused"


class CustodySetRefused(CustodianRefusal):
    """A custody set that is unknown, of another purpose, or without this custodian's keys."""

    code = "custody_set_refused"


class SignerRefused(CustodianRefusal):
    """KMS does not let this custodian use this key, or the key is none of its kind."""

    code = "signer_refused"


class StateChanged(OrionError):
    """Another request changed what the decision rested on. Nothing happened: decide again."""

    code = "custodian_state_changed"
    retry = Retry.LATER


class CustodianBusy(OrionError):
    """The state kept changing for longer than one request waits. Nothing happened."""

    code = "custodian_busy"
    retry = Retry.LATER


class CustodianStoreUnavailable(OrionError):
    """The store does not answer; what was asked may have happened. The same request finds out."""

    code = "custodian_store_unavailable"
    retry = Retry.SAME_KEY


class SignerUnavailable(OrionError):
    """KMS does not answer or wants fewer calls. The same request goes on where this one ended."""

    code = "signer_unavailable"
    retry = Retry.SAME_KEY


class CustodianMisconfigured(OrionError):
    """A deployment that gave this custodian no usable settings."""

    code = "internal"
