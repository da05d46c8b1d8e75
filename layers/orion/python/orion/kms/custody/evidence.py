"""Whether an instruction's statements are enough, and whether a version is proved dead. Pure: the
moment is an argument.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from orion.chains.spend import WalletKind
from orion.kms.custody.errors import EvidenceRefused
from orion.kms.custody.instruction import Instruction, Purpose
from orion.kms.custody.statements import APPROVALS, CLOCK_SKEW, ENROLMENT, Kind, Statement

ROTATION_APPROVALS = 3
VOID_APPROVALS = 2
WARM_APPROVALS = 1
ENROLMENT_APPROVALS = 2
_WITHOUT_MERCHANT = frozenset({Kind.DECISION, Kind.APPROVAL, Kind.ABSENT, Kind.FAILED})
_ALLOWED: Mapping[Purpose, frozenset[Kind]] = MappingProxyType(
    {
        Purpose.PAYOUT: frozenset(Kind) - {Kind.HELD},
        Purpose.REFILL: _WITHOUT_MERCHANT,
        Purpose.ROTATION: _WITHOUT_MERCHANT,
        Purpose.VOID: _WITHOUT_MERCHANT,
    }
)
_ABOUT_CHAIN = frozenset({Kind.ABSENT, Kind.FAILED, Kind.HELD})
_ABOUT_INSTRUCTION = frozenset({Kind.STEP_UP, Kind.REQUEST, Kind.DECISION, Kind.APPROVAL})


def check_evidence(
    instruction: Instruction,
    statements: Sequence[Statement],
    moments: Sequence[datetime],
    part: str,
) -> None:
    """Raise EvidenceRefused unless `statements` let `instruction` be signed.

    Each statement must be valid at one of `moments`: now, and, of a version that is recorded, when
    it was recorded.
    """
    for statement in statements:
        _check_statement(instruction, statement, moments)
    decision = _single(statements, Kind.DECISION, part)
    if decision is None:
        raise _refused(part, "decision_missing", "a decision of the policy is missing")
    requesters = {decision.person}
    if instruction.purpose is Purpose.PAYOUT:
        requesters |= _check_request(instruction, statements, part)
    approvals = [each for each in statements if each.kind is Kind.APPROVAL]
    _check_people(approvals, requesters)
    wanted = approvals_wanted(instruction, decision.approvals)
    if len(approvals) < wanted:
        raise _refused(part, "approvals_missing", f"{wanted} approvals are wanted")


def approvals_wanted(instruction: Instruction, by_policy: int) -> int:
    """How many different people must approve, whatever the policy asks at least."""
    if instruction.purpose is Purpose.ROTATION:
        return ROTATION_APPROVALS
    if instruction.purpose is Purpose.VOID:
        return max(VOID_APPROVALS, by_policy)
    if instruction.wallet is WalletKind.WARM:
        return max(WARM_APPROVALS, by_policy)
    return by_policy


def check_enrolment(
    digest: str, statements: Sequence[Statement], moments: Sequence[datetime], part: str
) -> None:
    """Raise EvidenceRefused unless two different people approved the custody set of `digest`."""
    for statement in statements:
        if statement.kind is not Kind.APPROVAL:
            raise _refused(statement.part, "not_wanted", "an enrolment rests on approvals only")
        _check_issuer(statement, ENROLMENT)
        _check_times(statement, moments)
        _check_digest(digest, statement)
    _check_people(statements, set())
    if len(statements) != ENROLMENT_APPROVALS:
        raise _refused(part, "approvals_missing", f"{ENROLMENT_APPROVALS} approvals are wanted")


def check_held(
    instruction: Instruction, statements: Sequence[Statement], set_digest: str, part: str
) -> None:
    """Raise EvidenceRefused unless the chain was seen to give the account that `instruction` pays
    to the very keys of the set that this custodian enrolled under its target's number.
    """
    held = _single(statements, Kind.HELD, part)
    if held is None:
        raise _refused(part, "held_missing", "nobody saw whose keys hold the target's account")
    if held.address != instruction.recipient or held.set_digest != set_digest:
        raise _refused(held.part, "about_another", "it is about another account or set")


def proved_dead(
    version: str, expires_at_ms: int | None, statements: Iterable[Statement], now_ms: int
) -> bool:
    """Whether the version can no longer move anything, by statements that were checked: it is final
    and moved nothing, or it is absent and its time is over. Where this custodian read that time in
    the bytes that it signed, it is over by its own clock too, and no block is of the future.
    """
    skew_ms = CLOCK_SKEW // timedelta(milliseconds=1)

    def is_over(final_at_ms: int) -> bool:
        if expires_at_ms is None:
            return True
        return expires_at_ms < final_at_ms <= now_ms + skew_ms and expires_at_ms < now_ms

    about = [each for each in statements if each.version == version]
    return any(
        each.kind is Kind.FAILED or (each.kind is Kind.ABSENT and is_over(each.final_at))
        for each in about
    )


def _refused(part: str, reason: str, detail: str) -> EvidenceRefused:
    return EvidenceRefused(detail, reason=reason, part=part)


def _check_statement(
    instruction: Instruction, statement: Statement, moments: Sequence[datetime]
) -> None:
    allowed = statement.kind in _ALLOWED[instruction.purpose]
    if not allowed and not (statement.kind is Kind.HELD and instruction.wants_held):
        raise _refused(statement.part, "not_wanted", "this purpose has no such statement")
    _check_times(statement, moments)
    if statement.kind is Kind.APPROVAL:
        _check_issuer(statement, APPROVALS)
    if statement.kind in _ABOUT_INSTRUCTION:
        _check_digest(instruction.digest, statement)
    if statement.kind in _ABOUT_CHAIN:
        _check_chain(instruction, statement)


def _check_issuer(statement: Statement, wanted: str) -> None:
    if statement.issuer != wanted:
        raise _refused(statement.part, "wrong_issuer", "it approves other things")


def _check_chain(instruction: Instruction, statement: Statement) -> None:
    """What cannot be about the instruction's chain, or is not over, is refused, not passed over:
    whoever sent it believes something untrue.
    """
    if (statement.chain, statement.network) != (instruction.chain, instruction.network):
        raise _refused(statement.part, "other_chain", "it speaks of another chain or network")
    if statement.kind is Kind.ABSENT and statement.final_at <= statement.valid_until:
        raise _refused(statement.part, "not_final", "the version's time has not run out")


def _check_digest(digest: str, statement: Statement) -> None:
    if statement.instruction != digest:
        raise _refused(statement.part, "about_another", "it is about something else")


def _check_times(statement: Statement, moments: Sequence[datetime]) -> None:
    if not any(statement.valid_at(moment) for moment in moments):
        raise _refused(statement.part, "not_valid_now", "it has expired, or is from the future")


def _check_request(
    instruction: Instruction, statements: Sequence[Statement], part: str
) -> set[str]:
    """Who asked: the merchant's user with a second factor, or the merchant with a certified key."""
    step_up = _single(statements, Kind.STEP_UP, part)
    request = _single(statements, Kind.REQUEST, part)
    certificate = _single(statements, Kind.MERCHANT_KEY, part)
    if step_up is None and request is None:
        raise _refused(part, "request_missing", "neither a step_up nor a merchant's request")
    if certificate is not None and request is None:
        raise _refused(certificate.part, "not_wanted", "a certified key without its request")
    for statement in (request, certificate):
        if statement is not None and statement.merchant != instruction.merchant:
            raise _refused(statement.part, "other_merchant", "it is another merchant's")
    return {each.person for each in (step_up, request) if each is not None}


def _single(statements: Sequence[Statement], kind: Kind, part: str) -> Statement | None:
    found = [each for each in statements if each.kind is kind]
    if len(found) > 1:
        raise _refused(part, "repeated", f"more than one {kind.value}")
    return found[0] if found else None


def _check_people(approvals: Sequence[Statement], requesters: set[str]) -> None:
    seen: set[str] = set()
    for approval in approvals:
        if approval.person in requesters:
            raise _refused(approval.part, "approver_is_requester", "a requester approves")
        if approval.person in seen:
            raise _refused(approval.part, "same_approver", "approvals are by different people")
        seen.add(approval.person)
