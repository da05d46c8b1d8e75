"""What an unsigned transaction of a 3-of-5 account does, read from its bytes alone.

Each chain's package has a module `custody` that offers `Custody`: the account that a custody set
has there, what a transaction of it does, and the transaction with its signatures. A custodian
compares the `Spend` with its instructions and signs nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Protocol, cast

from orion.chains.registry import chain_data
from orion.errors import OrionError

CUSTODIANS = 5
THRESHOLD = 3


class SpendRefused(OrionError):
    """A transaction that no custodian signs: it does more than pay, or less clearly. The field
    `reason` is a stable word (docs/custody.md lists them).
    """

    code = "spend_refused"


class Curve(StrEnum):
    """Curves of custodians' keys, by the names that docs and records use."""

    SECP256K1 = "secp256k1"
    ED25519 = "ed25519"


class WalletKind(StrEnum):
    """A group's two custody wallets. Warm wallets always need human approval."""

    HOT = "hot"
    WARM = "warm"


class Operation(StrEnum):
    """What a transaction is for. `ROTATE` replaces the account's keys in place (Ethereum, Tron).
    `VOID` moves nothing but the fee: its claims are spent on the account itself, so that nothing
    else signed with them can become final.
    """

    PAY = "pay"
    ROTATE = "rotate"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class CustodyKeys:
    """The public keys of a custody set, custodians 1 to 5 in order: five compressed secp256k1
    points of 33 bytes, five Ed25519 keys of 32 bytes.
    """

    secp256k1: tuple[bytes, ...]
    ed25519: tuple[bytes, ...]

    def of(self, curve: Curve) -> tuple[bytes, ...]:
        """The five keys on one curve."""
        return self.secp256k1 if curve is Curve.SECP256K1 else self.ed25519


@dataclass(frozen=True, slots=True)
class CustodyPlace:
    """Which wallet of which group on which network of a chain; `network` as in `chains/networks`
    (Ethereum: the decimal chain id). `set_no` is the custody set whose keys hold it.
    """

    chain: str
    network: str
    group_no: int
    kind: WalletKind
    set_no: int


@dataclass(frozen=True, slots=True)
class CustodyAccount:
    """The public description of a 3-of-5 account.

    `address` is canonical: what others pay to. `anchor` is what the address follows from beside the
    keys: on Tron the address that the group's own key named, on Solana the fee payer whose seeds
    the multisig accounts are made with, on Ethereum, once the keys were replaced in place, what the
    Safe was made with (`rotated_anchor`), elsewhere the empty text.
    """

    place: CustodyPlace
    keys: CustodyKeys
    anchor: str
    address: str


@dataclass(frozen=True, slots=True)
class Payment:
    """One effect on somebody else: `units` of the smallest unit of `asset` (a code of orion.money)
    to a canonical address.
    """

    asset: str
    recipient: str
    units: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Everything that a transaction does, besides returning change to the account.

    `fee_max_units` is the most that the account itself can lose in fees, in the chain's native
    asset; a fee that an executor or fee payer bears is not in it.

    `claims` are what any two versions of one effect must share so that only one of them can become
    final: Bitcoin's inputs `txid:vout`, Ethereum's `safe:nonce`. They are empty where nothing but
    time excludes an earlier version (Tron, Solana): then its absence must be proved first.
    `version` names this version among the versions of an effect: txid, Safe transaction hash, or
    the hash of Solana's message, in hexadecimal.

    `messages` are what each custodian signs with its key on `curve`, in order: 32-byte digests for
    ECDSA, the whole message for Ed25519. `owners_after` is, for ROTATE, the five public keys that
    the account has afterwards, as addresses of the chain, in ascending order.

    `expires_at_ms` is the Unix time in milliseconds after which this version can no longer be
    included, where the bytes say so (Tron's expiration); elsewhere None.
    """

    operation: Operation
    payments: tuple[Payment, ...]
    fee_max_units: int
    claims: tuple[str, ...]
    version: str
    curve: Curve
    messages: tuple[bytes, ...]
    owners_after: tuple[str, ...] = ()
    expires_at_ms: int | None = None


class Custody(Protocol):
    """What the module `custody` of every chain's package offers."""

    def account(self, place: CustodyPlace, keys: CustodyKeys, anchor: str) -> CustodyAccount:
        """The account of a custody set at `place`. Pure; the chain need not know it yet.

        Raises UnknownNetwork, MalformedAddress (of the anchor).
        """
        ...

    def decode(
        self, unsigned: bytes, account: CustodyAccount, contracts: Mapping[str, str]
    ) -> Spend:
        """Read a complete unsigned transaction of `account`: Bitcoin a PSBT with full previous
        transactions, Ethereum a Safe transaction, Tron raw_data, Solana a message.

        `contracts` are the network's tokens by asset code. Raises SpendRefused for whatever is not
        understood to the last byte.
        """
        ...

    def assemble(
        self,
        unsigned: bytes,
        account: CustodyAccount,
        signatures: Mapping[int, tuple[bytes, ...]],
    ) -> bytes:
        """The transaction with the signatures of at least three custodians, by custodian number 1
        to 5: for each message 65 bytes r, s, recovery id (ECDSA) or 64 bytes (Ed25519).

        The exact number that the chain wants is used, lowest custodians first. Every signature is
        verified. Raises SignatureRefused.
        """
        ...

    def owner_addresses(self, keys: CustodyKeys) -> tuple[str, ...]:
        """The five keys as addresses of the chain, ascending: what `Spend.owners_after` is compared
        with.
        """
        ...

    def describe(self, account: CustodyAccount) -> Mapping[str, object]:
        """The public description for an auditor, JSON values only: threshold, keys, addresses, and
        what recomputes them (Bitcoin: the output descriptor).
        """
        ...


class SignatureRefused(OrionError):
    """Too few signatures, or one that is not this key's over this message. The field `custodian`
    names the key.
    """

    code = "signature_refused"


def custody(chain: str) -> Custody:
    """The module `custody` of one chain, imported now and not before. Raises UnknownChain."""
    chain_data(chain)
    return cast(Custody, import_module(f"orion.chains.{chain}.custody"))
