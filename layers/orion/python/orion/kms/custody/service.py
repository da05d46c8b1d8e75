"""The custodian's three operations: load, let the model decide, record, sign."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from orion.chains.errors import MalformedAddress
from orion.chains.spend import (
    Curve,
    Custody,
    CustodyAccount,
    CustodyPlace,
    Spend,
    WalletKind,
    custody,
)
from orion.errors import OrionError
from orion.kms.custody.errors import (
    CustodianBusy,
    CustodySetRefused,
    SpendDiffers,
    StateChanged,
)
from orion.kms.custody.evidence import check_enrolment
from orion.kms.custody.instruction import Instruction, Purpose
from orion.kms.custody.model import (
    Remembered,
    SignDecision,
    Step,
    Target,
    check_asked,
    counted_units,
    decide,
    effect_id,
)
from orion.kms.custody.ports import CustodianSigner, CustodianStore
from orion.kms.custody.request import (
    EnrolledSet,
    SignRequest,
    read_enrol,
    read_public_keys,
    read_sign,
)
from orion.kms.custody.settings import CustodianSettings
from orion.money import ASSETS

MAX_ATTEMPTS = 12
MAX_KNOWN_SETS = 256


@dataclass(frozen=True, slots=True)
class Signed:
    """The signatures that this custodian gives for a version, now and at every repeat."""

    version: str
    signatures: tuple[bytes, ...]
    step: Step
    chain: str


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """This custodian's two keys of a set."""

    set_no: int
    secp256k1: bytes
    ed25519: bytes


class _NamesSigners(Protocol):
    """Where a message names the custodians that it wants (Solana)."""

    def signers(self, unsigned: bytes, account: CustodyAccount) -> tuple[int, ...]: ...


class CustodianService:
    """Custodian `number`, 1 to 5. `pause` waits, longer for each attempt that met others."""

    def __init__(
        self,
        number: int,
        settings: CustodianSettings,
        store: CustodianStore,
        signer: CustodianSigner,
        now: Callable[[], datetime],
        pause: Callable[[int], None],
    ) -> None:
        self._number = number
        self._settings = settings
        self._store = store
        self._signer = signer
        self._now = now
        self._pause = pause
        self._known: dict[int, EnrolledSet] = {}

    def sign(self, event: Mapping[str, object]) -> Signed:
        """Decide and sign. The same request is answered with the same signatures for ever.

        Raises a CustodianRefusal, what the chain's `custody` refuses, or what can be retried.
        """
        request = read_sign(event, self._settings.evidence_keys, self._settings.networks)
        lead = request.lead
        chain_custody = custody(lead.chain)
        account = self._account(chain_custody, lead, lead.set_no, request.anchor)
        check_asked(request.asked, account.address, self._settings.floats)
        spend = self._decoded(chain_custody, request, account)
        target = self._target(chain_custody, lead, request.anchor)
        decision, remembered = self._decided(request, spend, target)
        kept = remembered.version.signatures if remembered.version else None
        if kept is None:
            made = [self._signer.sign(lead.set_no, spend.curve, each) for each in spend.messages]
            kept = self._store.keep_signatures(_version(lead, spend), made)
        return Signed(spend.version, kept, decision.step, lead.chain)

    def public_keys(self, event: Mapping[str, object]) -> OwnKeys:
        """This custodian's own keys of a set. Raises RequestRefused, SignerRefused,
        SignerUnavailable.
        """
        return self._own_keys(read_public_keys(event))

    def enrol(self, event: Mapping[str, object]) -> EnrolledSet:
        """Keep a set for ever. A repeat answers the same; another set of that number is refused.

        Raises a CustodianRefusal, or what can be retried.
        """
        request = read_enrol(event, self._settings.evidence_keys)
        proposed = request.proposed
        known = self._store.enrolled(proposed.set_no)
        if known is None:
            check_enrolment(proposed.digest(), request.statements, (self._now(),), "evidence")
            self._check_own(proposed)
            known = self._enrolled(proposed)
        if known != proposed:
            raise _set_refused("already_enrolled", "a set is enrolled once", proposed.set_no)
        return known

    def _enrolled(self, proposed: EnrolledSet) -> EnrolledSet:
        for attempt in range(MAX_ATTEMPTS):
            try:
                return self._store.enrol(proposed)
            except StateChanged:
                self._pause(attempt)
        raise CustodianBusy("the set's keys are being enrolled by others", set=proposed.set_no)

    def _decided(
        self, request: SignRequest, spend: Spend, target: Target | None
    ) -> tuple[SignDecision, Remembered]:
        """Decide on what is remembered and record it; once more when another request came first."""
        effect, lead = effect_id(request.asked), request.lead
        assets = sorted(counted_units(request.asked))
        claims = spend.claims if lead.purpose is Purpose.VOID else ()
        for attempt in range(MAX_ATTEMPTS):
            remembered = self._store.remembered(
                effect, _version(lead, spend), lead.wallet, assets, claims
            )
            now = self._now()
            caps = self._settings.caps
            try:
                decision = decide(request.asked, spend, target, remembered, now, caps)
                if decision.step is not Step.REPEAT:
                    self._store.record(decision, now)
                return decision, remembered
            except StateChanged:
                self._pause(attempt)
        raise CustodianBusy("other requests keep changing what this one rests on")

    def _decoded(
        self, chain_custody: Custody, request: SignRequest, account: CustodyAccount
    ) -> Spend:
        """What the transaction does. Raises what the chain refuses, SpendDiffers where the message
        wants other custodians.
        """
        contracts = {
            code: contract
            for code, contract in self._settings.contracts.items()
            if ASSETS[code].chain == request.lead.chain
        }
        spend = chain_custody.decode(request.unsigned, account, contracts)
        if hasattr(chain_custody, "signers"):
            named = cast(_NamesSigners, chain_custody).signers(request.unsigned, account)
            if self._number not in named:
                raise SpendDiffers(
                    "the message names other custodians", reason="not_a_signer", part="unsigned"
                )
        return spend

    def _account(
        self, chain_custody: Custody, lead: Instruction, set_no: int, anchor: str
    ) -> CustodyAccount:
        keys = self._set(set_no, lead.wallet).keys
        place = CustodyPlace(lead.chain, lead.network, lead.group_no, lead.wallet, set_no)
        try:
            return chain_custody.account(place, keys, anchor)
        except MalformedAddress as exc:
            raise SpendDiffers(
                "no account follows from this anchor", reason="anchor_malformed", part="anchor"
            ) from exc

    def _target(self, chain_custody: Custody, lead: Instruction, anchor: str) -> Target | None:
        """Where a rotation leads. One in place keeps the account."""
        if lead.target_set is None:
            return None
        enrolled = self._set(lead.target_set, lead.wallet)
        owners, digest = chain_custody.owner_addresses(enrolled.keys), enrolled.digest()
        if lead.in_place:
            return Target("", owners, digest)
        account = self._account(chain_custody, lead, lead.target_set, anchor)
        return Target(account.address, owners, digest)

    def _set(self, set_no: int, wallet: WalletKind) -> EnrolledSet:
        """An enrolled set of this purpose that holds this custodian's own keys. It never
        changes, so it is looked up once.
        """
        known = self._known.get(set_no)
        if known is None:
            known = self._store.enrolled(set_no)
            if known is None:
                raise _set_refused("not_enrolled", "this set is not enrolled here", set_no)
            self._check_own(known)
            if len(self._known) >= MAX_KNOWN_SETS:
                self._known.clear()
            self._known[set_no] = known
        if known.purpose is not wallet:
            raise _set_refused("other_purpose", "hot and warm wallets share no set", set_no)
        return known

    def _check_own(self, known: EnrolledSet) -> None:
        own, place = self._own_keys(known.set_no), self._number - 1
        if (known.keys.secp256k1[place], known.keys.ed25519[place]) != (own.secp256k1, own.ed25519):
            raise _set_refused("own_keys_differ", "not this custodian's own keys", known.set_no)

    def _own_keys(self, set_no: int) -> OwnKeys:
        return OwnKeys(
            set_no,
            self._signer.public_key(set_no, Curve.SECP256K1),
            self._signer.public_key(set_no, Curve.ED25519),
        )


def _version(lead: Instruction, spend: Spend) -> tuple[str, str, str]:
    return (lead.chain, lead.network, spend.version)


def _set_refused(reason: str, detail: str, set_no: int) -> OrionError:
    return CustodySetRefused(detail, reason=reason, part="set", set=set_no)
