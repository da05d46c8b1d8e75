"""How many confirmations a block's payments are asked for, by what the block pays to a wallet."""

from dataclasses import replace

from orion.chains.blocks import Transfer
from orion.moneyin.model import (
    Deposit,
    Inclusion,
    Payment,
    State,
    Watched,
    block_changes,
    payments,
    reverse,
)
from orion.moneyin.policy import Step
from tests.unit.moneyin_follower import OURS, POLICY, pay

OTHER = Watched(0, 9, b"m" * 16, b"j" * 16)
WATCHED = {"ours": OURS, "other": OTHER}
BLOCK = Inclusion(100, "b", 0)
LADDERS = {"ETH.ethereum": (Step(10, 3), Step(100, 5)), "USDT.ethereum": (Step(10, 4),)}
BY_AMOUNT = replace(POLICY, settled=2, final=6, ladders=LADDERS)


def asked(*transfers: Transfer, known: dict[bytes, Deposit] | None = None) -> list[int]:
    """Confirmations asked of each payment, in the block's order."""
    found: list[Payment] = list(payments(transfers, WATCHED, BY_AMOUNT))
    changes = block_changes(found, known or {}, BLOCK, BY_AMOUNT)
    return [change.deposit.settled for change in changes if change.deposit.state is State.INCLUDED]


def test_a_payment_alone_is_asked_for_the_count_of_its_amount() -> None:
    assert asked(pay("a", 9)) == [2]
    assert asked(pay("a", 10)) == [3]
    assert asked(pay("a", 100)) == [5]


def test_splitting_a_payment_within_a_block_asks_for_no_fewer_confirmations() -> None:
    pieces = [pay(f"t{number}", 10) for number in range(10)]
    assert asked(*pieces) == [5] * 10
    outputs = [pay("t", 5, position=f"call:{number}") for number in range(2)]
    assert asked(*outputs) == [3, 3]


def test_another_wallet_or_asset_does_not_raise_the_count() -> None:
    assert asked(pay("a", 9), pay("b", 100, to="other")) == [2, 5]
    assert asked(pay("a", 9), pay("b", 9, contract="0xusdt", position="log:0")) == [2, 2]


def test_a_payment_named_twice_in_a_block_is_counted_once() -> None:
    assert asked(pay("a", 5), pay("a", 5)) == [2]


def test_a_payment_mined_again_is_asked_for_what_its_new_block_pays() -> None:
    (change,) = block_changes(
        list(payments([pay("a", 9)], WATCHED, BY_AMOUNT)), {}, BLOCK, BY_AMOUNT
    )
    assert change.deposit.settled == 2
    gone = reverse(change.deposit, 99)
    assert gone is not None
    again = asked(pay("a", 9), pay("b", 1), known={gone.deposit.id: gone.deposit})
    assert again == [3, 3]
