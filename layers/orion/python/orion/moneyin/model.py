"""Deposits: what a payment to a watched address becomes as blocks come and go. Pure;
docs/moneyin.md is the rule book.

Each function takes a deposit's state and returns a `Change`: the next state and the transfers it
makes true. A transfer's id is made from chain, txid, position and credit epoch, and an epoch ends
with the reversal that uses it: no id is used for two facts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orion.chains.blocks import Transfer
from orion.ids import fact_id
from orion.money import MAX_UNITS, Asset
from orion.moneyin.policy import ChainPolicy


class State(StrEnum):
    """Where a deposit stands."""

    INCLUDED = "included"
    CONFIRMED = "confirmed"
    FINAL = "final"
    REVERSED = "reversed"


class Held(StrEnum):
    """Why a recorded deposit is credited to nobody."""

    TOO_LARGE = "too_large"
    UNASSIGNED = "unassigned"


class Code(StrEnum):
    """The ledger's codes of what happens to a deposit; also the kind of the transfer's id."""

    CREDIT = "deposit_credit"
    FINAL = "deposit_final"
    REVERSAL = "deposit_reversal"
    REVERSAL_FINAL = "deposit_reversal_final"


@dataclass(frozen=True, slots=True)
class Watched:
    """A watched address: its wallet, and whose it is. Both ids are None while it is free."""

    group: int
    index: int
    merchant_id: bytes | None
    invoice_id: bytes | None


@dataclass(frozen=True, slots=True)
class Payment:
    """A transfer of a known asset to a watched address."""

    transfer: Transfer
    asset: Asset
    watched: Watched


@dataclass(frozen=True, slots=True)
class Inclusion:
    """The block that a payment stands in."""

    height: int
    hash: str
    time: int


@dataclass(frozen=True, slots=True)
class Deposit:
    """`settled` and `final` are the confirmations asked for when it was included. `epoch` is the
    credit epoch: the one in force, or for a reversed deposit the next one. `version` counts the
    states it has had.
    """

    id: bytes
    chain: str
    asset: str
    payment: Transfer
    watched: Watched
    state: State
    held_for: Held | None
    included: Inclusion
    settled: int
    final: int
    epoch: int
    version: int

    @property
    def settled_height(self) -> int:
        """The tip's height from which on this deposit is confirmed."""
        return self.included.height + self.settled - 1

    @property
    def final_height(self) -> int:
        """The tip's height from which on this deposit is final."""
        return self.included.height + self.final - 1

    def confirmations(self, tip_height: int) -> int:
        """Blocks that hold or follow the payment; 0 for a reversed deposit."""
        return 0 if self.state is State.REVERSED else tip_height - self.included.height + 1

    def transfer_id(self, code: Code, epoch: int) -> bytes:
        """The identity of a transfer of this deposit: what it does, of which payment, in which
        credit epoch.
        """
        return fact_id(code, self.chain, self.payment.txid, self.payment.position, epoch)


@dataclass(frozen=True, slots=True)
class Posting:
    """A transfer for the ledger, of `deposit` as it was in credit epoch `epoch`."""

    code: Code
    deposit: Deposit
    epoch: int

    @property
    def id(self) -> bytes:
        return self.deposit.transfer_id(self.code, self.epoch)


@dataclass(frozen=True, slots=True)
class Change:
    """A deposit's next state, why, and what the ledger shall do. `tip_height` is the chain's at
    that moment.
    """

    deposit: Deposit
    cause: str
    tip_height: int
    postings: tuple[Posting, ...] = ()
    lost_final: bool = False


def deposit_id(chain: str, transfer: Transfer) -> bytes:
    """The same for every block that the payment may stand in."""
    return fact_id("deposit", chain, transfer.txid, transfer.position)


def candidates(transfers: Iterable[Transfer], policy: ChainPolicy) -> Sequence[Transfer]:
    """Transfers of some value in an asset that this deployment knows by contract: names are worth
    nothing.
    """
    return [t for t in transfers if t.units > 0 and t.contract in policy.assets]


def payments(
    transfers: Iterable[Transfer], watched: Mapping[str, Watched], policy: ChainPolicy
) -> Sequence[Payment]:
    """Payments by recipient and effect, whoever sent them and through whatever contract."""
    return [
        Payment(transfer, policy.assets[transfer.contract], watched[transfer.recipient])
        for transfer in candidates(transfers, policy)
        if transfer.recipient in watched
    ]


def include(
    known: Deposit | None,
    payment: Payment,
    block: Inclusion,
    policy: ChainPolicy,
    tip_height: int,
    *,
    at_stake: int | None = None,
) -> Change | None:
    """A payment was seen in a connected block; None when it is counted already.

    A reversed deposit comes back under the epoch that its reversal opened, with what the payment
    does now: a contract may act otherwise in another block. `at_stake` is what the block pays to
    the wallet in this asset, by default the payment alone: as many confirmations are asked for as
    the policy wants of that.
    """
    if known is not None and known.state is not State.REVERSED:
        return None
    transfer = payment.transfer
    stake = transfer.units if at_stake is None else at_stake
    deposit = Deposit(
        id=deposit_id(policy.chain, transfer),
        chain=policy.chain,
        asset=payment.asset.code,
        payment=transfer,
        watched=payment.watched,
        state=State.INCLUDED,
        held_for=_held_for(payment),
        included=block,
        settled=policy.settled_for(payment.asset.code, stake),
        final=policy.final,
        epoch=known.epoch if known else 0,
        version=(known.version if known else 0) + 1,
    )
    cause = "block_connected" if known is None else "mined_again"
    return Change(deposit, cause, tip_height, _post(Code.CREDIT, deposit))


def _held_for(payment: Payment) -> Held | None:
    if payment.transfer.units > MAX_UNITS:
        return Held.TOO_LARGE
    owned = payment.watched.merchant_id and payment.watched.invoice_id
    return None if owned else Held.UNASSIGNED


def reverse(deposit: Deposit, tip_height: int) -> Change | None:
    """The deposit's block was disconnected; None when it was reversed already.

    The epoch rises in the same change as the reversal that ends it.
    """
    if deposit.state is State.REVERSED:
        return None
    lost_final = deposit.state is State.FINAL
    code = Code.REVERSAL_FINAL if lost_final else Code.REVERSAL
    after = replace(
        deposit, state=State.REVERSED, epoch=deposit.epoch + 1, version=deposit.version + 1
    )
    return Change(
        after, "block_disconnected", tip_height, _post(code, deposit), lost_final=lost_final
    )


def restate(deposit: Deposit, tip_height: int) -> Change | None:
    """The state that the chain's height implies; None when there is nothing to tell.

    While included, each new number of confirmations is told. Confirmed falls back to included with
    the tip; final stays until its own block is lost.
    """
    if deposit.state in (State.FINAL, State.REVERSED):
        return None
    if tip_height >= deposit.final_height:
        after = replace(deposit, state=State.FINAL, version=deposit.version + 1)
        return Change(after, "final_depth", tip_height, _post(Code.FINAL, after))
    implied = State.CONFIRMED if tip_height >= deposit.settled_height else State.INCLUDED
    if implied is State.CONFIRMED and deposit.state is implied:
        return None
    cause = "settled_depth" if implied is State.CONFIRMED else "tip_moved"
    return Change(replace(deposit, state=implied, version=deposit.version + 1), cause, tip_height)


def _post(code: Code, deposit: Deposit) -> tuple[Posting, ...]:
    return () if deposit.held_for else (Posting(code, deposit, deposit.epoch),)


def block_changes(
    payments_in: Sequence[Payment],
    known: Mapping[bytes, Deposit],
    block: Inclusion,
    policy: ChainPolicy,
) -> Sequence[Change]:
    """What a connected block does to the payments inside it, in the block's order; each also
    restated at once, so that a policy of one confirmation settles with the block itself.

    What one block pays to one wallet in one asset is judged together: a payment that is split into
    small ones asks for no fewer confirmations.
    """
    changes: list[Change] = []
    once: dict[bytes, Payment] = {}
    for payment in payments_in:
        once.setdefault(deposit_id(policy.chain, payment.transfer), payment)
    at_stake = _received(once.values())
    for identity, payment in once.items():
        stake = at_stake[_receiver(payment)]
        before = known.get(identity)
        change = include(before, payment, block, policy, block.height, at_stake=stake)
        if change is None:
            continue
        changes.append(change)
        at_once = restate(change.deposit, block.height)
        if at_once is not None and at_once.deposit.state is not State.INCLUDED:
            changes.append(at_once)
    return changes


def _receiver(payment: Payment) -> tuple[int, int, str]:
    return payment.watched.group, payment.watched.index, payment.asset.code


def _received(payments_in: Iterable[Payment]) -> Mapping[tuple[int, int, str], int]:
    sums: dict[tuple[int, int, str], int] = {}
    for payment in payments_in:
        receiver = _receiver(payment)
        sums[receiver] = sums.get(receiver, 0) + payment.transfer.units
    return sums
