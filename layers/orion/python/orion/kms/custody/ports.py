"""What the custodian needs: a store of its own, and its keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from orion.chains.spend import Curve, WalletKind
from orion.kms.custody.model import Remembered, SignDecision
from orion.kms.custody.request import EnrolledSet


class CustodianStore(Protocol):
    """One custodian's memory. Every reading sees all earlier writing (strong consistency).

    Everything may raise CustodianStoreUnavailable: what was asked may have happened.
    """

    def enrolled(self, set_no: int) -> EnrolledSet | None:
        """The set as it was enrolled first."""
        ...

    def enrol(self, proposed: EnrolledSet) -> EnrolledSet:
        """Keep a set, and the purpose of each of its ten keys, all or nothing; what is kept already
        stays. Answers what is kept.

        Raises CustodySetRefused when a key belongs to a set of the other purpose, StateChanged.
        """
        ...

    def remembered(
        self,
        effect: str,
        version: tuple[str, str, str],
        wallet: WalletKind,
        assets: Sequence[str],
        claims: Sequence[str] = (),
    ) -> Remembered:
        """What is known of an effect, of a version (chain, network, version), of assets, and of who
        holds `claims`.
        """
        ...

    def record(self, decision: SignDecision, at: datetime) -> None:
        """Everything that `decision` rests on and changes, in one transaction, or nothing.

        Raises ConflictRefused when an instruction, claim or version is another effect's,
        StateChanged when the effect or a window, or of a void a claim or its version, is no longer
        what the decision saw.
        """
        ...

    def keep_signatures(
        self, version: tuple[str, str, str], signatures: Sequence[bytes]
    ) -> tuple[bytes, ...]:
        """Keep the signatures of a recorded version unless some are kept; answers the kept ones."""
        ...


class CustodianSigner(Protocol):
    """One custodian's keys. Raises SignerRefused, SignerUnavailable."""

    def public_key(self, set_no: int, curve: Curve) -> bytes:
        """33 bytes of a compressed point, or 32 of an Ed25519 key."""
        ...

    def sign(self, set_no: int, curve: Curve, message: bytes) -> bytes:
        """65 bytes r, s and recovery id over a digest of 32 bytes, s low; or 64 bytes of Ed25519
        over the message. Verified with the public key before it is answered.
        """
        ...
