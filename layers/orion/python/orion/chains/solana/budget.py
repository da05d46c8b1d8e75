"""The compute budget that every custody transaction states first: limit, then price.

Both are mandatory, so that the fee can be read from the message. Source: Solana documentation,
"Fees"; crate compute-budget-interface.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orion.chains.solana.instructions import compute_limit, compute_price
from orion.chains.solana.message import Call, Instruction
from orion.chains.solana.programs import COMPUTE_BUDGET, LAMPORTS_PER_SIGNATURE
from orion.chains.spend import SpendRefused

UNITS_MAX = 1_400_000
PRIORITY_LAMPORTS_MAX = 10_000_000
_MICRO = 1_000_000
_PRICE_END = 2**64


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `units` compute units at `price_micro_lamports` each."""

    units: int
    price_micro_lamports: int

    @property
    def priority_lamports(self) -> int:
        """The priority fee. It is charged for the whole limit and rounds up against the payer:
        200,000 units at 7 micro-lamports are 1.4, so 2 lamports.
        """
        return -(-self.units * self.price_micro_lamports // _MICRO)

    def fee_lamports(self, signatures: int) -> int:
        """What the fee payer is charged, whether the transaction succeeds or fails."""
        return signatures * LAMPORTS_PER_SIGNATURE + self.priority_lamports

    def instructions(self) -> tuple[Instruction, Instruction]:
        """The first two instructions. Raises SpendRefused (reason `compute_budget`)."""
        self.check()
        return compute_limit(self.units), compute_price(self.price_micro_lamports)

    def check(self) -> None:
        """Raise SpendRefused unless the numbers are bearable."""
        bearable = 0 < self.units <= UNITS_MAX and 0 <= self.price_micro_lamports < _PRICE_END
        if not bearable or self.priority_lamports > PRIORITY_LAMPORTS_MAX:
            raise SpendRefused("a compute budget out of bounds", reason="compute_budget")


def read_budget(calls: Sequence[Call]) -> tuple[Budget, tuple[Call, ...]]:
    """The budget, and the instructions after it. Raises SpendRefused (reason `compute_budget`)."""
    head = calls[:2]
    sizes = [(call.program, len(call.data)) for call in head]
    if sizes != [(COMPUTE_BUDGET, 5), (COMPUTE_BUDGET, 9)]:
        raise SpendRefused("limit and price come first", reason="compute_budget")
    units, price = (int.from_bytes(call.data[1:], "little") for call in head)
    budget = Budget(units, price)
    if tuple((call.accounts, call.data) for call in head) != tuple(
        ((), instruction.data) for instruction in budget.instructions()
    ):
        raise SpendRefused("limit and price come first", reason="compute_budget")
    return budget, tuple(calls[2:])
