"""The custodian's decision. Pure: what the transaction does, what is remembered and the moment are
arguments.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from orion.chains.registry import chain_data
from orion.chains.spend import Curve, Operation, Payment, Spend, WalletKind
from orion.kms.custody.errors import (
    ConflictRefused,
    InstructionRefused,
    SpendDiffers,
    StateChanged,
    VelocityRefused,
)
from orion.kms.custody.evidence import check_evidence, check_held, proved_dead
from orion.kms.custody.instruction import Instruction, Purpose
from orion.kms.custody.request import Asked
from orion.kms.custody.statements import CLOCK_SKEW, Statement
from orion.kms.custody.velocity import MAX_HOURS, Window

EFFECT_PREFIX = b"orion effect v1\n"
MAX_VERSIONS = 32
MAX_MESSAGES = 96
# Amazon DynamoDB, "TransactWriteItems": at most 100 items.
MAX_RECORDED_ITEMS = 100
_EFFECT_AND_VERSION = 2
# How long a version that expires may live: what is signed and kept back is soon worth nothing.
LONGEST_LIFE = timedelta(minutes=10)

Caps = Mapping[WalletKind, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rotation leads: the target set's account, its keys as the chain's addresses, and the
    digest of the set as it was enrolled.
    """

    address: str
    owners: tuple[str, ...]
    set_digest: str = ""


@dataclass(frozen=True, slots=True)
class RecordedEffect:
    """An effect that this custodian has let happen: claims of its first version, all versions in
    order, and when they expire, in Unix milliseconds, where their bytes say so.
    """

    claims: tuple[str, ...]
    versions: tuple[str, ...]
    expiries: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedVersion:
    """A version that this custodian has decided to sign; `signatures` are None until it has."""

    effect: str
    recorded_at: datetime
    signatures: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the store holds about a request: its effect, its version, the windows of assets, and of
    a void the effects that hold its claims.
    """

    effect: RecordedEffect | None = None
    version: RecordedVersion | None = None
    windows: Mapping[str, Window] | None = None
    holders: Mapping[str, str] = field(default_factory=dict)


class Step(StrEnum):
    """What has to be recorded before signing."""

    FIRST = "first"
    NEXT = "next"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True)
class SignDecision:
    """Sign. `claims` are this version's, `taken` those of them that must be the effect's own from
    now on; `versions` are those before this one; `windows` the velocity windows before and
    `counted` what is added to them. FIRST counts, and without claims
    NEXT does. `recorded` is true of a void whose bytes
    another void brought before.
    """

    step: Step
    effect: str
    members: tuple[tuple[str, str], ...]
    chain: str
    network: str
    wallet: WalletKind
    version: str
    claims: tuple[str, ...]
    taken: tuple[str, ...]
    versions: tuple[str, ...]
    counted: Mapping[str, int]
    windows: Mapping[str, Window]
    expires_at_ms: int | None = None
    void: bool = False
    recorded: bool = False


def effect_id(asked: Sequence[Asked]) -> str:
    """The identity of what these instructions do together: their digests, in no order."""
    digests = sorted(each.instruction.digest for each in asked)
    return hashlib.sha256(EFFECT_PREFIX + "\n".join(digests).encode()).hexdigest()


def counted_units(asked: Sequence[Asked]) -> Mapping[str, int]:
    """What an effect counts, by asset: everything that may leave the account, the highest fees
    included. A rotation counts nothing: what it moves stays in custody.
    """
    total: Counter[str] = Counter()
    for instruction in (each.instruction for each in asked):
        if instruction.purpose is Purpose.ROTATION:
            return {}
        if instruction.units:
            total[instruction.asset] += instruction.units
        if instruction.fee_max_units:
            total[chain_data(instruction.chain).native_asset] += instruction.fee_max_units
    return dict(total)


def check_asked(asked: Sequence[Asked], account: str, floats: Mapping[str, str]) -> None:
    """Raise InstructionRefused unless every instruction names the account that this custodian
    computed, and a refill the one float of its chain.
    """
    for each in asked:
        instruction = each.instruction
        if instruction.account != account:
            raise InstructionRefused(
                "not the account of this set and anchor",
                reason="other_account",
                part=f"{each.part}.instruction.account",
            )
        refill = instruction.purpose is Purpose.REFILL
        if refill and instruction.recipient != floats.get(instruction.chain):
            raise InstructionRefused(
                "a refill pays this deployment's own float",
                reason="not_the_float",
                part=f"{each.part}.instruction.recipient",
            )


def check_spend(asked: Sequence[Asked], spend: Spend, target: Target | None) -> None:
    """Raise SpendDiffers unless the transaction does what its instructions say and nothing else."""
    lead = asked[0].instruction
    _check_form(spend)
    if spend.operation is not _operation(lead):
        raise _differs("operation", "other_operation", "not what the purpose is for")
    if lead.purpose is Purpose.VOID and not spend.claims:
        raise _differs("claims", "no_claims", "it ends nothing")
    _check_payments([each.instruction for each in asked], spend)
    fee_max = sum(each.instruction.fee_max_units for each in asked)
    if not 0 <= spend.fee_max_units <= fee_max:
        raise _differs("fee_max_units", "fee_too_high", "more than the instructions allow")
    if lead.purpose is Purpose.ROTATION:
        _check_rotation(asked, spend, target)
    elif spend.owners_after:
        raise _differs("owners_after", "owners_change", "a payment changes no keys")


def decide(
    asked: Sequence[Asked],
    spend: Spend,
    target: Target | None,
    remembered: Remembered,
    now: datetime,
    caps: Caps,
) -> SignDecision:
    """Whether this custodian signs, and what it must record first.

    A version that is recorded was decided then: it is signed again, or its signatures are answered
    again, with evidence that was valid at that time. Raises SpendDiffers, EvidenceRefused,
    ConflictRefused, VelocityRefused.
    """
    check_spend(asked, spend, target)
    effect = effect_id(asked)
    step, shared = _step(asked, effect, spend, remembered)
    recorded = remembered.version
    moments = (now,) if recorded is None or step is not Step.REPEAT else (now, recorded.recorded_at)
    for each in asked:
        part = f"{each.part}.evidence"
        check_evidence(each.instruction, each.statements, moments, part)
        if each.instruction.wants_held and target is not None:
            check_held(each.instruction, each.statements, target.set_digest, part)
    known = remembered.effect
    counted: Mapping[str, int] = {}
    if step is Step.FIRST or (step is Step.NEXT and known is not None and not known.claims):
        # Without claims only the chain's observers say that an earlier version moved nothing, and
        # one that failed may have cost its fee: each version counts as if it were the first.
        counted = counted_units(asked)
        _check_velocity(asked[0].instruction.wallet, counted, remembered.windows or {}, now, caps)
    if step is Step.NEXT and known is not None:
        _check_next(known, spend, [each for entry in asked for each in entry.statements], now)
    if step is not Step.REPEAT:
        _check_expiry(spend.expires_at_ms, now)
    _check_size(len(asked) + len(spend.claims) + len(counted) + _EFFECT_AND_VERSION)
    lead = asked[0].instruction
    return SignDecision(
        step=step,
        effect=effect,
        members=tuple(sorted((each.instruction.id, each.instruction.digest) for each in asked)),
        chain=lead.chain,
        network=lead.network,
        wallet=lead.wallet,
        version=spend.version,
        claims=spend.claims,
        taken=_taken(lead, spend, remembered),
        versions=known.versions if known else (),
        counted=counted,
        windows={asset: (remembered.windows or {}).get(asset, Window()) for asset in counted},
        expires_at_ms=spend.expires_at_ms,
        void=lead.purpose is Purpose.VOID,
        recorded=shared,
    )


def _step(
    asked: Sequence[Asked], effect: str, spend: Spend, remembered: Remembered
) -> tuple[Step, bool]:
    """What has to be recorded, and whether the version is another effect's already.

    Two voids may be the same bytes: whoever signs them for both signs once. Were the second
    refused, then two voids that met could leave each with too few signatures, and the claims would
    be as stuck as before. Everything else has its version alone.
    """
    recorded, known = remembered.version, remembered.effect
    shared = recorded is not None and recorded.effect != effect
    if shared and asked[0].instruction.purpose is not Purpose.VOID:
        raise ConflictRefused(
            "this version belongs to other instructions",
            reason="version_of_other_effect",
            part="unsigned",
        )
    if known is None:
        return Step.REPEAT if recorded is not None and not shared else Step.FIRST, shared
    if recorded is None and spend.version in known.versions:
        # Two items are not read at one moment: the version was being recorded in between.
        raise StateChanged("the version was recorded while it was read")
    again = recorded is not None and (not shared or spend.version in known.versions)
    return Step.REPEAT if again else Step.NEXT, shared


def _taken(lead: Instruction, spend: Spend, remembered: Remembered) -> tuple[str, ...]:
    """The claims that become the effect's own. A void takes what nobody holds, and leaves the rest
    where it is.
    """
    if lead.purpose is Purpose.VOID:
        return tuple(each for each in spend.claims if each not in remembered.holders)
    kept = remembered.effect.claims if remembered.effect else ()
    return tuple(each for each in spend.claims if each not in kept)


def _operation(instruction: Instruction) -> Operation:
    if instruction.purpose is Purpose.VOID:
        return Operation.VOID
    return Operation.ROTATE if instruction.in_place else Operation.PAY


def _differs(part: str, reason: str, detail: str) -> SpendDiffers:
    return SpendDiffers(detail, reason=reason, part=f"unsigned.{part}")


def _check_form(spend: Spend) -> None:
    """What every spend has, whatever the chain; a chain that answers otherwise is not signed."""
    if not 1 <= len(spend.messages) <= MAX_MESSAGES:
        raise _differs("messages", "wrong_count", f"1 to {MAX_MESSAGES} messages are signed")
    if spend.curve is Curve.SECP256K1 and any(len(each) != 32 for each in spend.messages):
        raise _differs("messages", "not_a_digest", "ECDSA signs digests of 32 bytes")
    if len(set(spend.claims)) != len(spend.claims):
        raise _differs("claims", "repeated", "a claim stands twice")


def _check_payments(instructions: Sequence[Instruction], spend: Spend) -> None:
    """Compare as multisets: two equal instructions want two equal payments."""
    wanted = Counter(
        Payment(each.asset, each.recipient or "", each.units)
        for each in instructions
        if not each.pays_nobody
    )
    found = Counter(spend.payments)
    if missing := wanted - found:
        first = next(iter(missing))
        place = next(
            place
            for place, each in enumerate(instructions)
            if (each.asset, each.recipient, each.units)
            == (first.asset, first.recipient, first.units)
        )
        raise SpendDiffers(
            "an instruction is not carried out as it says",
            reason="payment_missing",
            part=f"instructions[{place}].instruction",
        )
    if found - wanted:
        raise _differs("payments", "payment_extra", "it pays what nobody instructed")


def _check_rotation(asked: Sequence[Asked], spend: Spend, target: Target | None) -> None:
    if target is None:
        raise _differs("owners_after", "target_unknown", "a rotation has a target set")
    if asked[0].instruction.in_place:
        if spend.owners_after != target.owners:
            raise _differs("owners_after", "owners_differ", "not the target set's keys")
        return
    for each in asked:
        if each.instruction.recipient != target.address:
            raise SpendDiffers(
                "a rotation pays to the target set's account",
                reason="not_the_target",
                part=f"{each.part}.instruction.recipient",
            )


def _check_expiry(expires_at_ms: int | None, now: datetime) -> None:
    """What says in its bytes when it expires must do so soon, whatever its instructions say."""
    if expires_at_ms is None:
        return
    now_ms = _milliseconds(now)
    if expires_at_ms <= now_ms:
        raise _differs("expires_at_ms", "expired", "its time is over")
    if expires_at_ms > now_ms + (LONGEST_LIFE + CLOCK_SKEW) // timedelta(milliseconds=1):
        raise _differs("expires_at_ms", "expires_too_late", "it could be kept back for too long")


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _check_next(
    known: RecordedEffect, spend: Spend, statements: Sequence[Statement], now: datetime
) -> None:
    if len(known.versions) >= MAX_VERSIONS:
        raise ConflictRefused(
            f"an effect has at most {MAX_VERSIONS} versions",
            reason="too_many_versions",
            part="unsigned",
        )
    if known.claims:
        if not set(known.claims) <= set(spend.claims):
            raise ConflictRefused(
                "it could become final beside the first version",
                reason="claims_not_kept",
                part="unsigned.claims",
            )
        return
    for version in known.versions:
        if not proved_dead(version, known.expiries.get(version), statements, _milliseconds(now)):
            raise ConflictRefused(
                "an earlier version may still become final",
                reason="earlier_version_alive",
                part="unsigned",
                version=version,
            )


def _check_velocity(
    wallet: WalletKind,
    counted: Mapping[str, int],
    windows: Mapping[str, Window],
    now: datetime,
    caps: Caps,
) -> None:
    for asset, units in sorted(counted.items()):
        cap = caps[wallet].get(asset)
        if cap is None:
            raise VelocityRefused("no cap, no signature", reason="no_cap", part=asset)
        window = windows.get(asset, Window())
        if window.spent(now) + units > cap:
            raise VelocityRefused(
                "more than this custodian signs for in 24 hours",
                reason="cap_exceeded",
                part=asset,
            )
        if len(window.added(units, now).hours) > MAX_HOURS:
            raise VelocityRefused("clocks disagree by days", reason="window_overfull", part=asset)


def _check_size(items: int) -> None:
    if items > MAX_RECORDED_ITEMS:
        raise SpendDiffers(
            f"more than {MAX_RECORDED_ITEMS} facts cannot be recorded at once",
            reason="too_many_members",
            part="unsigned",
        )
