"""The signers with a float: Ethereum's executor and Solana's fee payer.

They bear fees for custody accounts and hold little. What bounds them is that they sign nothing but
transactions of known accounts, one body for each nonce, and no more fees than the cap between two
refills.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orion.chains.secp256k1 import recoverable
from orion.chains.spend import Curve, CustodyAccount
from orion.kms.signing.accounts import authenticated
from orion.kms.signing.anchors import Anchors
from orion.kms.signing.errors import CustodyAccountNotFound, WrongNetwork
from orion.kms.signing.events import fee_signed, float_refilled
from orion.kms.signing.model import ExecutionRequest, Refill, Reservation, Signer
from orion.kms.signing.ports import FloatStore, MessageSigner


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is asked for: the reservation to make and the message to sign. `assemble` makes the
    whole transaction from the signature; None where others sign as well.
    """

    reservation: Reservation
    message: bytes
    assemble: Callable[[bytes], bytes] | None


@dataclass(frozen=True, slots=True)
class SignedFee:
    """The signature, and the whole transaction where the chain needs no other signature."""

    version: str
    signature: bytes
    transaction: bytes | None


@dataclass(frozen=True, slots=True)
class Refilled:
    """What the float has committed after a refill, in smallest units."""

    committed_units: int


class FeeChain(Protocol):
    """What is particular to the chain."""

    @property
    def signer(self) -> Signer:
        """Whose key and float."""
        ...

    @property
    def curve(self) -> Curve:
        """Where the key lies."""
        ...

    def prepared(
        self, request: ExecutionRequest, public_key: bytes, accounts: Collection[CustodyAccount]
    ) -> Prepared:
        """Read what the transaction does and costs. Raises SpendRefused, WrongNetwork."""
        ...


@dataclass(frozen=True, slots=True)
class FloatSigner:
    """The use cases of one signer; `cap_units` is the most that it may commit between refills."""

    chain: FeeChain
    cap_units: Callable[[], int]
    key: MessageSigner
    store: FloatStore
    anchors: Anchors
    now: Callable[[], datetime]

    def sign(self, request: ExecutionRequest) -> SignedFee:
        """The stored signature of this transaction; made once, and after its record is committed.

        Between record and signature a process may die: the same request then finds its record,
        counts nothing twice and signs. Raises LimitMissing, CustodyAccountNotFound, AccountDiffers,
        SpendRefused, WrongNetwork, BodyConflicts, FloatExhausted, SignerRefused,
        SignerUnavailable, DatabaseUnavailable.
        """
        cap_units = self.cap_units()
        accounts = authenticated(self.store.accounts(request.groups), self.anchors)
        if not accounts:
            raise CustodyAccountNotFound("these groups have no custody account here")
        public_key = self.key.public_key()
        prepared = self.chain.prepared(request, public_key, accounts)
        wanted = prepared.reservation
        signature = self.store.reserve(wanted, cap_units, self.now())
        if signature is None:
            made = self.key.sign(prepared.message)
            at = self.now()
            signature = self.store.keep(wanted, made, fee_signed(wanted, request.trace_id, at), at)
        transaction = prepared.assemble(signature) if prepared.assemble is not None else None
        return SignedFee(wanted.version.hex(), signature, transaction)

    def refilled(self, refill: Refill) -> Refilled:
        """Give a refill back to the float. Raises RefillDiffers, DatabaseUnavailable."""
        at = self.now()
        told = float_refilled(self.chain.signer.value, refill, at)
        return Refilled(self.store.refilled(self.chain.signer.value, refill, told, at))


@dataclass(frozen=True, slots=True)
class SolanaFees:
    """The fee payer. Every message has a record of its own: the same payment under another block
    hash is another message, and both could be paid for, so each counts in full.
    """

    contracts: Mapping[str, str]
    signer: Signer = Signer.SOLANA
    curve: Curve = Curve.ED25519

    def prepared(
        self, request: ExecutionRequest, public_key: bytes, accounts: Collection[CustodyAccount]
    ) -> Prepared:
        """As the port says."""
        from orion.chains.solana.address import address_of
        from orion.chains.solana.fee_payer import decode_fee

        payment = decode_fee(request.unsigned, address_of(public_key), accounts, self.contracts)
        version = hashlib.sha256(payment.message).digest()
        reservation = Reservation(
            signer=self.signer.value,
            slot=f"message:{version.hex()}",
            version=version,
            body_digest=bytes.fromhex(payment.body_digest),
            fee_max_units=payment.fee_max_units,
        )
        # The other signatures are with whoever has the transaction (`custody.with_fee_payer`).
        return Prepared(reservation, payment.message, None)


@dataclass(frozen=True, slots=True)
class EthereumFees:
    """The executor on the chain `chain_id`. Versions of one nonce exclude each other."""

    chain_id: int
    signer: Signer = Signer.ETHEREUM
    curve: Curve = Curve.SECP256K1

    def prepared(
        self, request: ExecutionRequest, public_key: bytes, accounts: Collection[CustodyAccount]
    ) -> Prepared:
        """As the port says."""
        from orion.chains.ethereum.carried import check_carried
        from orion.chains.ethereum.executor import assemble_execution, decode_execution

        unsigned = request.unsigned
        execution = decode_execution(unsigned, {account.address for account in accounts})
        if execution.chain_id != self.chain_id:
            raise WrongNetwork("a transaction of another chain", chain_id=execution.chain_id)
        check_carried(unsigned, request.safe_nonce, accounts)
        reservation = Reservation(
            signer=self.signer.value,
            slot=f"{self.chain_id}:{execution.nonce}",
            version=bytes.fromhex(execution.version),
            body_digest=execution.body_digest,
            fee_max_units=execution.fee_max_units,
        )

        def assemble(signature: bytes) -> bytes:
            # The stored one: a row altered since would otherwise leave here as ours.
            signature = recoverable(public_key, execution.digest, signature[:64])
            return assemble_execution(unsigned, signature)

        return Prepared(reservation, execution.digest, assemble)
